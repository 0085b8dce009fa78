"""Both towers and the mask network as ONNX, for batches of any size.

    image.onnx   images [b, 3, S, S]      ->  image [b, D]
    text.onnx    tokens [b, l]            ->  text [b, D], states [b, l, W]
    mask.onnx    states [b, l, W]         ->  mask [b, D], of zeros and ones

A caption of fewer tokens than the context gives the same `text`, since the tower is causal. Its
mask is another one, since the mask network was trained with the states of padding and reads them:
pad captions to the context with 0 to get the masks that the model was trained with.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from smartclip.export.extra import needed
from smartclip.export.plain import towers
from smartclip.ready import ReadyModel
from theory.storage import write_atomically


class _Image(nn.Module):
    def __init__(self, ready: ReadyModel) -> None:
        super().__init__()
        self.transformer, self.norm = towers(ready)[0].transformer, ready.model.image_norm

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.transformer(images))


class _Text(nn.Module):
    """The text tower for captions of any length: open_clip's own takes one length alone."""

    def __init__(self, ready: ReadyModel) -> None:
        super().__init__()
        self.tower = towers(ready)[1].transformer

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        tower, length = self.tower, tokens.shape[1]
        causal = tower.attn_mask
        assert isinstance(causal, Tensor)
        states = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        states = tower.transformer(states, attn_mask=causal[:length, :length])
        states = tower.ln_final(states)
        # The end has the largest id.
        at = tokens.argmax(1)[:, None, None].expand(-1, 1, states.shape[2])
        return states.gather(1, at).squeeze(1) @ tower.text_projection, states


class _Mask(nn.Module):
    """The hard mask from token states, with the coordinates that are closed for all captions."""

    used: Tensor

    def __init__(self, ready: ReadyModel) -> None:
        super().__init__()
        self.network, self.gate = ready.model.mask_network, ready.model.gate
        self.register_buffer("used", ready.model.used_coordinates().detach())

    def forward(self, states: Tensor) -> Tensor:
        from smartclip.gates import read_gate

        assert self.network is not None
        return read_gate(self.network(states), self.gate) * self.used


def write_onnx(ready: ReadyModel, folder: Path) -> list[Path]:
    """`image.onnx`, `text.onnx`, and `mask.onnx` of a model with masks; weights inside.

    Raises:
        InputError: the extra is missing, or towers that are not CLIP's transformers.
    """
    for package in ("onnx", "onnxscript"):
        needed(package)
    size = ready.architecture
    side = size.image.image_size
    like = next(ready.model.parameters())
    # An example as long as the context would have its length taken for fixed.
    shorter = max(2, size.text.context // 2)
    images = like.new_zeros(2, size.image.channels, side, side)
    tokens = torch.zeros(2, shorter, dtype=torch.long, device=like.device)
    states = like.new_zeros(2, shorter, size.text.width)
    batch = torch.export.Dim("b", min=1)
    length = torch.export.Dim("l", min=2, max=size.text.context)
    parts: list[tuple[str, nn.Module, Tensor, str, list[str], dict[int, object]]] = [
        ("image", _Image(ready), images, "images", ["image"], {0: batch}),
        (
            "text",
            _Text(ready),
            tokens,
            "tokens",
            ["text", "states"],
            {0: batch, 1: length},
        ),
    ]
    if ready.masked:
        axes: dict[int, object] = {0: batch, 1: length}
        parts.append(("mask", _Mask(ready), states, "states", ["mask"], axes))
    written = []
    for name, module, example, given, found, axes in parts:
        with _quiet(), write_atomically(folder / f"{name}.onnx") as temporary:
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=(axes,),
                input_names=[given],
                output_names=found,
                verbose=False,
            )
            assert program is not None
            program.save(str(temporary), external_data=False)
        written.append(folder / f"{name}.onnx")
    return written


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself; what matters is raised."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
