"""A folder that open_clip loads by `create_model_and_transforms("local-dir:FOLDER")`."""

import json
from pathlib import Path

from safetensors.torch import save_file

from smartclip.export.plain import plain_tensors
from smartclip.ready import ReadyModel
from smartclip.towers.layouts import to_open_clip
from theory.storage import write_atomically


def write_open_clip(ready: ReadyModel, folder: Path) -> Path:
    """`open_clip_model.safetensors` and `open_clip_config.json`.

    Raises:
        InputError: towers that open_clip does not have.
    """
    tensors = to_open_clip(plain_tensors(ready))
    config = {
        "model_cfg": ready.architecture.to_open_clip(),
        "preprocess_cfg": {
            "mean": list(ready.mean),
            "std": list(ready.std),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
    with write_atomically(folder / "open_clip_model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    with write_atomically(folder / "open_clip_config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder
