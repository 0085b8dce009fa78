"""`smartclip export CHECKPOINT --to KIND ...`: a trained model for other programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.checkpoints import FromCheckpoint, run_settings
from experiments.commands.command import Command
from theory.errors import InputError

if TYPE_CHECKING:
    from smartclip.ready import ReadyModel

Kind = Literal["open-clip", "hugging-face", "stable-diffusion", "sdxl", "onnx"]


@dataclass(frozen=True, kw_only=True)
class Export(FromCheckpoint, Command):
    """Write a trained model in the layouts of other programs, with a model card.

    Each kind gets a folder of its own. All but open-clip need the packages of the extra `export`.
    """

    to: tuple[Kind, ...] = ("open-clip",)
    """What to write; several may be named."""
    out: Path = Path("export")
    """Folder of all of them."""
    sdxl: Path | None = None
    """For sdxl: folder of the pipeline whose second encoder is stretched too."""
    licence: str | None = None
    """Of the weights, for the card: a name that the hub knows, such as apache-2.0."""

    def run(self) -> dict[str, Any]:
        if "sdxl" in self.to and self.sdxl is None:
            raise InputError(
                "sdxl without --sdxl",
                rule="SDXL joins two encoders of one length, so the second is stretched as well",
                fix="give the folder of an SDXL pipeline, which holds text_encoder_2",
            )
        from rich.console import Console

        from smartclip.export.card import write_card

        ready = self.ready()
        kinds = tuple(dict.fromkeys(self.to))
        console = Console(highlight=False)
        for kind in kinds:
            with console.status(f"writing {kind}"):
                self._write(kind, ready)
        card = write_card(
            ready,
            self.out,
            kinds=kinds,
            licence=self.licence,
            recipe=_recipe(ready),
            metrics=dict(_metrics(ready)),
        )
        files = sorted(file for file in self.out.rglob("*") if file.is_file())
        for file in files:
            megabytes = file.stat().st_size / 1e6
            console.print(f"{file}  {megabytes:.1f} MB", markup=False, soft_wrap=True)
        return {"card": str(card), "files": [str(file) for file in files], "kinds": list(kinds)}

    def _write(self, kind: Kind, ready: "ReadyModel") -> None:
        folder = self.out / kind
        match kind:
            case "open-clip":
                from smartclip.export.open_clip import write_open_clip

                write_open_clip(ready, folder)
            case "hugging-face":
                from smartclip.export.hugging_face import write_hugging_face

                write_hugging_face(ready, folder)
            case "stable-diffusion":
                from smartclip.export.diffusion import write_stable_diffusion

                write_stable_diffusion(ready, folder)
            case "sdxl":
                from smartclip.export.diffusion import write_sdxl

                assert self.sdxl is not None
                write_sdxl(ready, folder, self.sdxl)
            case "onnx":
                from smartclip.export.onnx import write_onnx

                write_onnx(ready, folder)


def _recipe(ready: "ReadyModel") -> dict[str, Any]:
    """What the run says of its training and its data."""
    settings = run_settings(ready)
    if not settings:
        return {}
    options, training = settings["options"], settings["training"]
    found = {"recipe": options["recipe"] + (", its small twin" if options["debug"] else "")}
    result = _result(ready)
    if result:
        found["data"] = result["source"]
    return found | {
        "pictures (a digest of names and captions)": settings["identity"]["pictures"],
        "sentences kept": options["policy"],
        "batch": training["batch_size"],
        "steps": sum(phase["steps"] for phase in settings["method"]["phases"]),
        "seed": training["seed"],
    }


def _metrics(ready: "ReadyModel") -> Iterator[tuple[str, float]]:
    """What was measured when the run ended, on the pictures that it held out."""
    result = _result(ready)
    if not result:
        return
    readings = {"before training": result["before"]} | result["after"]
    for reading, found in readings.items():
        for direction in ("caption_to_image", "image_to_caption"):
            for k, share in sorted(
                found[direction]["recall"].items(), key=lambda each: int(each[0])
            ):
                name = f"R@{k}, {direction.replace('_', ' ')}, {reading}"
                yield f"{name}, among {result['held_out']:,} held out", share


def _result(ready: "ReadyModel") -> dict[str, Any]:
    from experiments.run_folder import RESULT, read_json

    path = ready.folder / RESULT if ready.folder else None
    return read_json(path) if path is not None and path.is_file() else {}
