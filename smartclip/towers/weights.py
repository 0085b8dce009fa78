"""A checkpoint of CLIP as it lies on a disk or on the hub: its tensors, and how they were trained.

What no tensor tells is told beside them: the activation, the number of heads, the colours that
images are normalised with. They are read from `open_clip_config.json` or `config.json` in the same
folder, from open_clip's list of weights, or known: layouts of OpenAI and Long-CLIP are quick-GELU.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from smartclip.data.crop import MEAN, STD
from smartclip.towers.layouts import NamedTensors, named_tensors
from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError

HUB = "hf-hub:"
# open_clip's own first: its repositories may hold another model's model.safetensors beside it.
_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)
_BESIDE = ("open_clip_config.json", "config.json", "preprocessor_config.json")
Colour = tuple[float, float, float]
# What torch and safetensors raise for a file that is damaged, a program, or more than tensors.
_UNREADABLE = (
    OSError,
    SafetensorError,
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    torch.serialization.pickle.UnpicklingError,  # pyright: ignore[reportPrivateImportUsage]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """A trained CLIP.

    Attributes:
        source: file, folder or name on the hub.
        tensors: by tower.
        quick_gelu: whether they were trained with quick-GELU; None where nothing tells.
        heads: attention heads of the image and the text tower; None where nothing tells.
        mean: of each colour, 0 to 1, that images are normalised with.
        std: of each colour.
    """

    source: str
    tensors: NamedTensors
    quick_gelu: bool | None = None
    heads: tuple[int, int] | None = None
    mean: Colour = MEAN
    std: Colour = STD


def read_weights(path: Path) -> Weights:
    """A file (.safetensors, .bin, .pt, .pth) or a folder that holds one beside its configuration.

    No object is unpickled: files that are not safetensors are read as plain tensors only.

    Raises:
        InputError: nothing there, unreadable, none of the known layouts, or a tensor too many.
    """
    if path.is_dir():
        found = next((path / name for name in _FILES if (path / name).is_file()), None)
        if found is None:
            raise InputError(
                f"{path} holds none of {', '.join(_FILES)}",
                rule="a folder of weights has one of these files",
                fix="give the file itself",
            )
        path = found
    tensors = named_tensors(_tensors(path), str(path))
    weights = Weights(source=str(path), tensors=tensors)
    if tensors.layout in ("OpenAI", "Long-CLIP"):
        return replace(weights, quick_gelu=True)
    wanted = "config.json" if tensors.layout == "Hugging Face" else "open_clip_config.json"
    config = path.parent / wanted
    if not config.is_file():
        return weights
    return _described(weights, _json(config), path.parent)


def fetch_weights(name: str, tag: str) -> Weights:
    """From the hub: `hf-hub:owner/name`, or one of open_clip's tags of the model `name`.

    Raises:
        InputError: no such tag, or the hub cannot be reached and the cache does not have it.
    """
    if tag.startswith(HUB):
        return replace(read_weights(_download(tag.removeprefix(HUB))), source=tag)
    load_open_clip()
    from open_clip import pretrained

    model = name.replace("/", "-")
    known = pretrained.get_pretrained_cfg(model, tag)
    if not known:
        tags = pretrained.list_pretrained_tags_by_model(model)
        raise InputError(
            f"weights {tag!r} for {name}, which is no file either",
            rule=f"weights are a path, {HUB}owner/name, or one of "
            + (", ".join(tags) or "no tag at all"),
            fix="check the path or choose a tag",
        )
    owner, _, file = known["hf_hub"].rpartition("/") if known.get("hf_hub") else ("", "", "")
    if not owner:
        raise InputError(
            f"weights {tag!r} for {name}",
            rule="weights are fetched from the hub, and these are not there",
            fix="fetch them yourself and give the file",
        )
    # open_clip lists some files as .bin that the hub also has as safetensors.
    files = [str(Path(file).with_suffix(".safetensors")), file] if file else _FILES
    weights = read_weights(_first(owner, files))
    trained_with = bool(known.get("quick_gelu", False))
    return replace(
        weights,
        source=f"{tag} ({owner})",
        quick_gelu=trained_with,
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )


def colours(name: str, weights: str | None) -> tuple[Colour, Colour]:
    """Mean and deviation of each colour that weights were trained with, without fetching them.

    Args:
        name: open_clip's name of the model.
        weights: as for `smartclip.towers.pretrained.backbone`; None for CLIP's own.
    """
    if weights is None:
        return MEAN, STD
    if Path(weights).exists():
        found = read_weights(Path(weights))
        return found.mean, found.std
    if weights.startswith(HUB):
        found = fetch_weights(name, weights)
        return found.mean, found.std
    load_open_clip()
    from open_clip import pretrained

    known = pretrained.get_pretrained_cfg(name.replace("/", "-"), weights)
    if not known:
        raise InputError(
            f"the weights {weights!r}, which are not there any more",
            rule="a model is used with the colours that it was trained with",
            fix="put the weights back where training found them",
        )
    return tuple(known["mean"]), tuple(known["std"])


def _download(repository: str) -> Path:
    """The file in the cache that holds a repository's weights, what describes them beside it."""
    weights = _first(repository, _FILES)
    for name in _BESIDE:
        _fetched(repository, name)
    return weights


def _first(repository: str, files: Sequence[str]) -> Path:
    """The first of some files that a repository has."""
    for file in files:
        if (path := _fetched(repository, file)) is not None:
            return path
    raise InputError(
        f"{HUB}{repository} has none of {', '.join(files)}",
        rule="a repository of CLIP holds its weights",
        fix="check its name",
    )


def _fetched(repository: str, file: str) -> Path | None:
    """A file of a repository, from the cache or the hub; None if it has no such file."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file))
    except LocalEntryNotFoundError as error:  # also an EntryNotFoundError
        raise _unreachable(repository, error) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _unreachable(repository, error) from error


def _unreachable(repository: str, error: Exception) -> InputError:
    why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return InputError(
        f"{HUB}{repository} could not be fetched ({why})",
        rule="weights come from a local path, or from the hub if it can be reached",
        fix="give the path of a checkpoint that is already here, or go online",
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, on the CPU."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # torch says that a TorchScript file is one, and then refuses it.
            warnings.filterwarnings("ignore", message=".*TorchScript archive")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} does not exist", rule="weights lie at a path", fix="check it"
        ) from error
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]  # a training checkpoint of open_clip
    if not isinstance(loaded, dict) or not all(isinstance(t, Tensor) for t in loaded.values()):
        raise _unreadable(path, TypeError("it is not a dictionary of tensors"))
    return loaded


def _unreadable(path: Path, error: Exception) -> InputError:
    why = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
    return InputError(
        f"{path} cannot be read as weights ({why})",
        rule="weights are safetensors, or tensors saved by torch and nothing else: OpenAI's own "
        "TorchScript files are programs and are not run",
        fix="save its state_dict as .safetensors, or take the hub's copy",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path} could not be read ({error})",
            rule="the configuration beside weights is a JSON object",
            fix="fetch it again",
        ) from error


def _described(weights: Weights, config: dict[str, Any], folder: Path) -> Weights:
    """With what the configuration beside the file says."""
    if weights.tensors.layout == "open_clip":
        model = config.get("model_cfg", config)
        vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
        heads = None
        if "width" in vision and "heads" in text:
            heads = (vision["width"] // vision.get("head_width", 64), text["heads"])
        colours = config.get("preprocess_cfg", {})
        mean, std = colours.get("mean", MEAN), colours.get("std", STD)
        quick_gelu = bool(model.get("quick_gelu", False))
    else:
        vision, text = config.get("vision_config", {}), config.get("text_config", {})
        # Left out where they have the values of transformers' own CLIPConfig.
        heads = (vision.get("num_attention_heads", 12), text.get("num_attention_heads", 8))
        quick_gelu = _hugging_face_activation(vision, text, weights.source)
        preprocess = folder / "preprocessor_config.json"
        colours = _json(preprocess) if preprocess.is_file() else {}
        mean, std = colours.get("image_mean", MEAN), colours.get("image_std", STD)
    return replace(weights, quick_gelu=quick_gelu, heads=heads, mean=tuple(mean), std=tuple(std))


def _hugging_face_activation(vision: dict[str, Any], text: dict[str, Any], source: str) -> bool:
    found = {each.get("hidden_act", "quick_gelu") for each in (vision, text)}
    norms = {each.get("layer_norm_eps", 1e-5) for each in (vision, text)}
    if not found <= {"quick_gelu", "gelu"} or len(found) > 1 or norms != {1e-5}:
        raise InputError(
            f"{source} with activations {', '.join(sorted(found))} and layer_norm_eps "
            f"{', '.join(map(str, sorted(norms)))}",
            rule="both towers of a CLIP have quick_gelu or gelu, and norms of 1e-5",
            fix="give the weights of a plain CLIP",
        )
    return found == {"quick_gelu"}
