"""Many small runs in one program: the same loss, vmapped over models that differ in their numbers.

    minimise  sum_k L(theta_k; batch_k, noise_k, prices_k)   over theta_1, ..., theta_K together,

where no term depends on the parameters of another run, so each run gets its own gradient.
Parameters and buffers are stacked: every layer is one batched product, and the update is one fused
AdamW. Each run keeps its batches, its generator and its whitening statistics, and ends where
`train` would have taken it, up to rounding: in float64 to 1e-6 in every weight. (Coordinates are
whitened, so the loss does not see the image tower's last bias, and its gradient is rounding alone.
That one weight drifts; the code does not.)
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from smartclip.model import GateNoise, SmartCLIP
from smartclip.train.carried import carry, constraint_of
from smartclip.train.config import TrainConfig
from smartclip.train.losses import Noise, Prices, draw_noise, priced_loss
from smartclip.train.optimiser import OptimiserConfig, make_optimiser
from smartclip.train.ranks import ranks
from smartclip.train.schedule import learning_rate_factor
from smartclip.train.source import Source
from theory.errors import InputError

# What the runs of an ensemble may differ in: their seeds, and weights of terms of the loss.
FREE = ("seed", "sparsity", "budget", "logit_scale", "refine_logit_scale", "refine_alignment")
WEIGHTS = ("logit_scale", "alignment", "decorrelation", "sparsity", "budget")
# A batched product over few runs stays in the cache of a CPU. A GPU takes all that fit.
RUNS_AT_ONCE_ON_CPU = 8


def train_together(
    models: Sequence[SmartCLIP],
    sources: Sequence[Source],
    configs: Sequence[TrainConfig],
    *,
    optimiser: OptimiserConfig | None = None,
    at_once: int | None = None,
) -> list[SmartCLIP]:
    """Train models in place, each as `train` would by itself, on the device they are on.

    Nothing is logged or saved on the way: runs that are to be watched or resumed are for `train`.

    Args:
        models: of one architecture, fresh, each built under its own seed; nothing in their towers
            is random.
        sources: the batches of each run.
        configs: the settings of each run; they may differ in what `FREE` lists.
        optimiser: weight decay and moments, of all runs.
        at_once: runs in one program, the others follow; by default all of them on a GPU.

    Returns:
        The same models, in evaluation mode.

    Raises:
        InputError: other numbers of models, sources and settings; settings or models that differ
            in more than they may; or a loss that is not finite.

    Example, with recipes that differ in their seeds::

        train_together(
            [recipe.model(world, device) for recipe in recipes],
            [WorldSource(world, seed=recipe.train.seed) for recipe in recipes],
            [recipe.train for recipe in recipes],
        )
    """
    optimiser = optimiser or OptimiserConfig()
    _refuse_different(models, sources, configs)
    _refuse_unsupported(optimiser)
    device = next(models[0].parameters()).device
    if at_once is None:
        at_once = RUNS_AT_ONCE_ON_CPU if device.type == "cpu" else len(models)
    for first in range(0, len(models), at_once):
        part = slice(first, first + at_once)
        Ensemble(models[part], sources[part], configs[part], optimiser).run()
    return [model.eval() for model in models]


class Ensemble:
    """K runs whose parameters and buffers are the rows of stacked tensors.

    Args:
        models: see `train_together`, as for all others.
        sources: of batches.
        configs: the settings.
        optimiser: weight decay and moments.
    """

    def __init__(
        self,
        models: Sequence[SmartCLIP],
        sources: Sequence[Source],
        configs: Sequence[TrainConfig],
        optimiser: OptimiserConfig,
    ) -> None:
        self.models, self.sources, self.configs = models, sources, configs
        self.config = configs[0]
        for model, config in zip(models, configs, strict=True):
            carry(model, config)
            model.train()
            if model.all_open:
                model.mask_network.requires_grad_(False)
        first = next(models[0].parameters())
        self.device, self.dtype = first.device, first.dtype
        self.parameters = _stacked([dict(model.named_parameters()) for model in models])
        self.buffers = _stacked([dict(model.named_buffers()) for model in models])
        self.loss = _Loss(models[0], self.config)
        self.optimiser = make_optimiser(models[0], self.config, optimiser)
        names = {id(parameter): name for name, parameter in models[0].named_parameters()}
        for group in self.optimiser.param_groups:
            group["params"] = [self.parameters[names[id(one)]] for one in group["params"]]
        self.generators = [torch.Generator(self.device).manual_seed(c.seed) for c in configs]

    def run(self) -> None:
        """All steps; then every model has its weights and its statistics."""
        for step in range(self.config.total_steps):
            losses = self.step(step)
            if (step + 1) % self.config.log_every == 0 or step + 1 == self.config.total_steps:
                self._refuse_divergence(losses, step + 1)
        with torch.no_grad():
            for number, model in enumerate(self.models):
                for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
                    tensor.copy_((self.parameters | self.buffers)[name][number])

    def step(self, step: int) -> Float[Tensor, " K"]:
        """One update of every run; returns their losses."""
        size = self.config.batch_size
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * learning_rate_factor(step, self.config)
        batches = [source.batch(step, size, self.device) for source in self.sources]
        images, tokens = (torch.stack(column) for column in zip(*batches, strict=True))
        prices = [Prices.at(step, config) for config in self.configs]
        weights = torch.tensor(
            [[getattr(one, name) for name in WEIGHTS] for one in prices], dtype=self.dtype
        ).to(self.device, non_blocking=True)
        idle = {
            name: 0.0
            for name in ("alignment", "decorrelation")
            if not any(getattr(one, name) for one in prices)
        }

        def loss(
            parameters: dict[str, Tensor],
            buffers: dict[str, Tensor],
            images: Tensor,
            tokens: Tensor,
            weights: Tensor,
            drawn: dict[str, Tensor],
        ) -> tuple[Tensor, ...]:
            own = prices[0]._replace(**dict(zip(WEIGHTS, weights.unbind(), strict=True)))
            own = own._replace(**idle)
            gates = None if own.refining else GateNoise(drawn.get("caption"), drawn.get("shared"))
            inputs = (images, tokens, own, Noise(gates, drawn.get("channel"), drawn.get("order")))
            return functional_call(self.loss, (parameters, buffers), inputs)

        drawn = self._draw(prices[0])
        self.optimiser.zero_grad(set_to_none=True)
        named = [
            {f"model.{name}": tensor for name, tensor in stack.items()}
            for stack in (self.parameters, self.buffers)
        ]
        losses, *sizes = vmap(loss)(named[0], named[1], images, tokens, weights, drawn)
        losses.sum().backward()
        self.optimiser.step()
        self._ascend(sizes)
        return losses.detach()

    def _draw(self, prices: Prices) -> dict[str, Tensor]:
        """The noise of every run from its own generator, stacked, by name."""
        size, dimension = self.config.batch_size, self.models[0].dimension
        like = torch.empty(size, dimension, dtype=self.dtype, device=self.device)
        drawn: list[dict[str, Tensor]] = []
        for generator in self.generators:
            gates, channel, order = draw_noise(self.models[0], like, prices, generator)
            parts = {"channel": channel, "order": order} | (gates._asdict() if gates else {})
            drawn.append({name: part for name, part in parts.items() if part is not None})
        return {name: torch.stack([parts[name] for parts in drawn]) for name in drawn[0]}

    @torch.no_grad()
    def _ascend(self, sizes: list[Tensor]) -> None:
        """The dual step of every run, if the masks were held to a size in this step."""
        constraint = constraint_of(self.models[0])
        if sizes and constraint is not None:
            multipliers = self.buffers["carried.keep_rate.multiplier"]
            multipliers.copy_(constraint.ascended(multipliers, sizes[0]))

    def _refuse_divergence(self, losses: Tensor, step: int) -> None:
        for config, loss in zip(self.configs, losses.tolist(), strict=True):
            if loss - loss != 0:  # NaN or infinite
                raise InputError(
                    f"the loss of the run with seed {config.seed} is {loss} at step {step}",
                    rule="training needs finite numbers",
                    fix="look for NaN in the data, or lower learning_rate",
                )


class _Loss(nn.Module):
    """The loss of one run as a module, so that `functional_call` can lend it weights."""

    def __init__(self, model: SmartCLIP, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(
        self, images: Tensor, tokens: Tensor, prices: Prices, noise: Noise
    ) -> tuple[Tensor, ...]:
        """The loss, and the size of masks where that is held to a constraint."""
        features = self.model.embed(images, tokens)
        terms = priced_loss(self.model, features, self.config, prices, noise)
        return (terms.loss,) if terms.size is None else (terms.loss, terms.size)


def _stacked(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Name -> [K, ...], leaves that need a gradient where the parts do."""
    return {
        name: torch.stack([part[name].detach() for part in parts]).requires_grad_(
            tensor.requires_grad
        )
        for name, tensor in parts[0].items()
    }


def _refuse_different(
    models: Sequence[SmartCLIP], sources: Sequence[Source], configs: Sequence[TrainConfig]
) -> None:
    counts = len(models), len(sources), len(configs)
    if len(set(counts)) > 1 or not models:
        raise InputError(
            "{} models, {} sources and {} settings".format(*counts),
            rule="every run has one of each, and there is at least one run",
            fix="pass as many of each",
        )
    settings = [config.to_dict() for config in configs]
    differing = sorted(
        name
        for name, value in settings[0].items()
        if name not in FREE and any(other[name] != value for other in settings)
    )
    if differing:
        raise InputError(
            f"settings that differ in {', '.join(differing)}",
            rule=f"runs that are trained together differ in {', '.join(FREE)} alone",
            fix="train the others apart",
        )
    shapes = [
        {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
        for model in models
    ]
    kinds = {(model.gate, model.all_open) for model in models}
    if any(other != shapes[0] for other in shapes) or len(kinds) > 1:
        raise InputError(
            "models of different shapes or gates",
            rule="runs that are trained together have one architecture",
            fix="build all models with the same sizes, gate and precision",
        )


def _refuse_unsupported(optimiser: OptimiserConfig) -> None:
    if optimiser.clip_norm is not None or optimiser.ema_decay is not None or ranks() > 1:
        raise InputError(
            f"clip_norm {optimiser.clip_norm}, ema_decay {optimiser.ema_decay}, "
            f"{ranks()} processes",
            rule="runs are trained together in one process, without clipping or averaging",
            fix="use train for those runs",
        )
