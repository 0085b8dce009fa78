"""What a whole training step of SmartCLIP costs beside a plain CLIP step of open_clip.

Same towers, batch, context length, precision and optimiser; both in this process, in turns, so that
whatever else the machine does falls on both alike. The difference is the mask network (one block
over detached token states), its update, and the modular loss.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from experiments.benchmarks.measurement import Measurement
from smartclip.methods import published
from smartclip.towers.open_clip import load_open_clip
from smartclip.towers.pretrained import backbone
from smartclip.train.assembly import assemble
from smartclip.train.config import TrainConfig
from smartclip.train.execution import ExecutionConfig
from smartclip.train.gradients import accumulate_gradients
from smartclip.train.losses import step_loss
from smartclip.train.method import Budget
from smartclip.train.optimiser import OptimiserConfig, make_optimiser
from smartclip.train.parallel import Towers, blocks
from smartclip.train.phases import moment

# The first rounds pay for memory that later ones have.
WARM_ROUNDS = 2
ROUNDS = 5
RATE, DECAY = 1e-6, 1e-2

FLOAT32 = ExecutionConfig()

Step = Callable[[], object]


def measurements() -> list[Measurement]:
    """About two minutes on two cores; on a GPU where there is one, with larger batches."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    more = 16 if device.type == "cuda" else 1
    return [
        compared("ViT-B-32", 16 * more, 77, device=device, target="at most 1.08"),
        compared("ViT-B-16", 4 * more, 248, device=device, target="at most 1.05"),
    ]


def compared(
    name: str,
    batch_size: int,
    context: int,
    *,
    device: torch.device,
    target: str,
    rounds: int = ROUNDS,
) -> Measurement:
    """Both steps of one model, in turns.

    Args:
        name: open_clip's.
        batch_size: B.
        context: tokens of a caption.
        device: of both.
        target: the ratio aimed at.
        rounds: of which the medians are taken, after `WARM_ROUNDS` more.
    """
    images, tokens = (part.to(device) for part in noise_batch(name, batch_size, context))
    steps = [
        smartclip_step(name, images, tokens, context),
        clip_step(name, images, tokens, context),
    ]
    times: list[list[float]] = [[], []]
    for number in range(WARM_ROUNDS + rounds):
        for step, seen in zip(steps, times, strict=True):
            started = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number >= WARM_ROUNDS:
                seen.append(time.perf_counter() - started)
    pairs = sorted(ours / theirs for ours, theirs in zip(*times, strict=True))
    return Measurement(
        work=f"SmartCLIP step, {name}, B={batch_size}, {context} tokens",
        seconds=statistics.median(times[0]),
        reference="open_clip's CLIP step",
        reference_seconds=statistics.median(times[1]),
        target=target,
        note=f"{device.type}, {torch.get_num_threads()} threads; {rounds} rounds in turns, "
        f"{pairs[0]:.3f} to {pairs[-1]:.3f}",
    )


def smartclip_step(
    name: str,
    images: Tensor,
    tokens: Tensor,
    context: int,
    execution: ExecutionConfig = FLOAT32,
) -> Step:
    """One update as `smartclip.train` does it, with the published settings."""
    torch.manual_seed(0)
    found = backbone(name, context=context)
    dimension = found.architecture.dimension
    method = published(Budget(steps=1000, dimension=dimension))
    model = assemble(
        method,
        found.image_tower,
        found.text_tower,
        width=found.text_tower.width,
        heads=found.architecture.text.heads,
        dimension=dimension,
    ).to(images.device)
    config = TrainConfig(batch_size=len(images), learning_rate=RATE)
    now = moment(method.phases, 0)
    towers = Towers(model, execution, seed=0)
    optimiser = make_optimiser(model, config, OptimiserConfig(weight_decay=DECAY))
    generator = torch.Generator(images.device).manual_seed(0)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        accumulate_gradients(
            towers,
            images,
            tokens,
            lambda features: step_loss(model, features, method.objective, now, generator),
            step=0,
        )
        optimiser.step()

    return step


def clip_step(
    name: str,
    images: Tensor,
    tokens: Tensor,
    context: int,
    execution: ExecutionConfig = FLOAT32,
) -> Step:
    """One update of open_clip's own model with open_clip's own loss."""
    module = load_open_clip()
    size = module.get_model_config(name)
    size["text_cfg"]["context_length"] = context
    torch.manual_seed(0)
    model, loss = module.CLIP(**size).to(images.device), module.ClipLoss()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    low = execution.precision == "bfloat16"
    if execution.compile:
        for block in blocks(model):
            block.forward = torch.compile(block.forward)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=low):
            value = loss(*model(images, tokens))
        value.backward()
        optimiser.step()

    return step


def noise_batch(name: str, size: int, context: int) -> tuple[Tensor, Tensor]:
    """Noise for images; captions that fill the context."""
    config = load_open_clip().get_model_config(name)
    generator = torch.Generator().manual_seed(0)
    side, vocabulary = config["vision_cfg"]["image_size"], config["text_cfg"]["vocab_size"]
    images = torch.randn(size, 3, side, side, generator=generator)
    tokens = torch.randint(1, vocabulary - 2, (size, context), generator=generator)
    tokens[:, 0], tokens[:, -1] = vocabulary - 2, vocabulary - 1
    return images, tokens
