"""Many small runs in one program: the same loss, vmapped over models that differ in their numbers.

    minimise  sum_k L(theta_k; batch_k, noise_k, weights_k)   over theta_1, ..., theta_K together,

where no term depends on the parameters of another run, so each run gets its own gradient.
Parameters and buffers are stacked: every layer is one batched product, and the update is one fused
AdamW. Each run keeps its batches, its generator and its whitening statistics, and ends where
`train` would have taken it, up to rounding: in float64 to 1e-6 in every weight. (Coordinates are
whitened, so the loss does not see the image tower's last bias, and its gradient is rounding alone.
That one weight drifts; the code does not.)
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from smartclip.model import GateNoise, SmartCLIP
from smartclip.train.config import TrainConfig
from smartclip.train.loss_state import attach_loss_state, constraint_of
from smartclip.train.losses import Noise, caption_loss, draw_noise
from smartclip.train.method import Method, Objective
from smartclip.train.optimiser import OptimiserConfig, make_optimiser
from smartclip.train.phases import Moment, Phase, moment
from smartclip.train.ranks import ranks
from smartclip.train.source import Source
from theory.errors import InputError

# What the phases of runs that are trained together may differ in; the seeds may differ too.
WEIGHTS = ("scale", "alignment", "decorrelation", "sparsity", "budget")
# A batched product over few runs stays in the cache of a CPU. A GPU takes all that fit.
RUNS_AT_ONCE_ON_CPU = 8


def train_together(
    models: Sequence[SmartCLIP],
    sources: Sequence[Source],
    methods: Sequence[Method],
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
        methods: of each run, for one caption an image; they may differ in the weights of their
            phases, those that `WEIGHTS` lists.
        configs: the settings of each run; they may differ in their seeds.
        optimiser: weight decay and moments, of all runs.
        at_once: runs in one program, the others follow; by default all of them on a GPU.

    Returns:
        The same models, in evaluation mode.

    Raises:
        InputError: other numbers of models, sources, methods and settings; methods, settings or
            models that differ in more than they may; or a loss that is not finite.

    Example, with one method and several seeds::

        train_together(
            models,
            [WorldSource(world, seed=config.seed) for config in configs],
            [method] * len(configs),
            configs,
        )
    """
    optimiser = optimiser or OptimiserConfig()
    _refuse_different(models, sources, methods, configs)
    _refuse_unsupported(optimiser)
    device = next(models[0].parameters()).device
    if at_once is None:
        at_once = RUNS_AT_ONCE_ON_CPU if device.type == "cpu" else len(models)
    for first in range(0, len(models), at_once):
        part = slice(first, first + at_once)
        Ensemble(models[part], sources[part], methods[part], configs[part], optimiser).run()
    return [model.eval() for model in models]


class Ensemble:
    """K runs whose parameters and buffers are the rows of stacked tensors.

    Args:
        models: see `train_together`, as for all others.
        sources: of batches.
        methods: what is minimised.
        configs: the settings.
        optimiser: weight decay and moments.
    """

    def __init__(
        self,
        models: Sequence[SmartCLIP],
        sources: Sequence[Source],
        methods: Sequence[Method],
        configs: Sequence[TrainConfig],
        optimiser: OptimiserConfig,
    ) -> None:
        self.models, self.sources, self.configs = models, sources, configs
        self.phases = [method.phases for method in methods]
        self.steps, self.config = methods[0].steps, configs[0]
        for model, method in zip(models, methods, strict=True):
            attach_loss_state(model, method)
            model.train()
        first = next(models[0].parameters())
        self.device, self.dtype = first.device, first.dtype
        self.parameters = _stacked([dict(model.named_parameters()) for model in models])
        self.buffers = _stacked([dict(model.named_buffers()) for model in models])
        self.loss = _Loss(models[0], methods[0].objective)
        self.optimiser = make_optimiser(models[0], self.config, optimiser)
        names = {id(parameter): name for name, parameter in models[0].named_parameters()}
        for group in self.optimiser.param_groups:
            group["params"] = [self.parameters[names[id(one)]] for one in group["params"]]
        self.generators = [torch.Generator(self.device).manual_seed(c.seed) for c in configs]

    def run(self) -> None:
        """All steps; then every model has its weights and its statistics."""
        for step in range(self.steps):
            losses = self.step(step)
            if (step + 1) % self.config.log_every == 0 or step + 1 == self.steps:
                self._refuse_divergence(losses, step + 1)
        with torch.no_grad():
            for number, model in enumerate(self.models):
                for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
                    tensor.copy_((self.parameters | self.buffers)[name][number])

    def step(self, step: int) -> Float[Tensor, " K"]:
        """One update of every run; returns their losses."""
        size = self.config.batch_size
        moments = [moment(phases, step) for phases in self.phases]
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * moments[0].rate
        batches = [source.batch(step, size, self.device) for source in self.sources]
        images, tokens = (torch.stack(column) for column in zip(*batches, strict=True))
        weights = torch.tensor(
            [[getattr(one, name) for name in WEIGHTS] for one in moments], dtype=self.dtype
        ).to(self.device, non_blocking=True)
        idle = {
            name: 0.0
            for name in ("alignment", "decorrelation", "sparsity")
            if not any(getattr(one, name) for one in moments)
        }

        drawn = self._draw(moments[0])
        gates_learn = self.models[0].mask_network is not None and moments[0].gates != "held"

        def loss(
            parameters: dict[str, Tensor],
            buffers: dict[str, Tensor],
            images: Tensor,
            tokens: Tensor,
            weights: Tensor,
            drawn: dict[str, Tensor],
        ) -> tuple[Tensor, ...]:
            now = moments[0]._replace(**dict(zip(WEIGHTS, weights.unbind(), strict=True)))
            now = now._replace(**idle)
            gates = GateNoise(drawn.get("caption"), drawn.get("shared")) if gates_learn else None
            noise = Noise(gates, drawn.get("channel"), drawn.get("order"))
            inputs = (images, tokens, now, noise)
            return functional_call(self.loss, (parameters, buffers), inputs)

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

    def _draw(self, now: Moment) -> dict[str, Tensor]:
        """The noise of every run from its own generator, stacked, by name."""
        size, dimension = self.config.batch_size, self.models[0].dimension
        like = torch.empty(size, dimension, dtype=self.dtype, device=self.device)
        drawn: list[dict[str, Tensor]] = []
        for generator in self.generators:
            gates, channel, order = draw_noise(self.models[0], like, now, generator)
            parts = {"channel": channel, "order": order} | (gates._asdict() if gates else {})
            drawn.append({name: part for name, part in parts.items() if part is not None})
        return {name: torch.stack([parts[name] for parts in drawn]) for name in drawn[0]}

    @torch.no_grad()
    def _ascend(self, sizes: list[Tensor]) -> None:
        """The dual step of every run, if the masks were held to a size in this step."""
        constraint = constraint_of(self.models[0])
        if sizes and constraint is not None:
            multipliers = self.buffers["loss_state.keep_rate.multiplier"]
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

    def __init__(self, model: SmartCLIP, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(
        self, images: Tensor, tokens: Tensor, now: Moment, noise: Noise
    ) -> tuple[Tensor, ...]:
        """The loss, and the size of masks where that is held to a constraint."""
        features = self.model.embed(images, tokens)
        terms = caption_loss(self.model, features, self.objective, now, noise)
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
    models: Sequence[SmartCLIP],
    sources: Sequence[Source],
    methods: Sequence[Method],
    configs: Sequence[TrainConfig],
) -> None:
    counts = len(models), len(sources), len(methods), len(configs)
    if len(set(counts)) > 1 or not models:
        raise InputError(
            "{} models, {} sources, {} methods and {} settings".format(*counts),
            rule="every run has one of each, and there is at least one run",
            fix="pass as many of each",
        )
    if any(method.objective.captions > 1 for method in methods):
        raise InputError(
            f"method {methods[0].name!r} with two captions an image",
            rule="runs that are trained together see one caption of each image",
            fix="use train for those runs",
        )
    if len({replace(config, seed=0) for config in configs}) > 1:
        raise InputError(
            "settings that differ in more than their seeds",
            rule="runs that are trained together have one batch size and one set of rates",
            fix="train the others apart",
        )
    if any(_without_weights(method) != _without_weights(methods[0]) for method in methods):
        raise InputError(
            "methods that differ in more than weights of their phases",
            rule=f"runs that are trained together differ in {', '.join(WEIGHTS)} alone",
            fix="train the others apart",
        )
    shapes = [
        {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
        for model in models
    ]
    kinds = {(model.gate, model.mask_network is None) for model in models}
    if any(other != shapes[0] for other in shapes) or len(kinds) > 1:
        raise InputError(
            "models of different shapes or gates",
            rule="runs that are trained together have one architecture",
            fix="build all models with the same sizes, gate and precision",
        )


def _without_weights(method: Method) -> Method:
    """The method with the weights of all phases forgotten; what is left has to be the same."""
    forgotten: dict[str, float] = dict.fromkeys(WEIGHTS, 1.0)

    def bare(phase: Phase) -> Phase:
        free = forgotten if phase.gates == "drawn" else forgotten | {"sparsity": 0.0, "budget": 0.0}
        return replace(phase, **free)

    return replace(method, name="", phases=tuple(map(bare, method.phases)))


def _refuse_unsupported(optimiser: OptimiserConfig) -> None:
    if optimiser.clip_norm is not None or optimiser.ema_decay is not None or ranks() > 1:
        raise InputError(
            f"clip_norm {optimiser.clip_norm}, ema_decay {optimiser.ema_decay}, "
            f"{ranks()} processes",
            rule="runs are trained together in one process, without clipping or averaging",
            fix="use train for those runs",
        )
