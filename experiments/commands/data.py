"""`smartclip data`: fetch real data, make simulated data, and say what is in them."""

import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.caption_text import parse_captions, parse_sizes
from experiments.commands.command import Command
from experiments.commands.predict import EXAMPLE
from experiments.reading import Reading
from smartclip.data.printed import shown
from theory.errors import InputError

if TYPE_CHECKING:
    from simulators import World
    from smartclip.data.audit import Audit
    from smartclip.data.hub import HubStream


@dataclass(frozen=True, kw_only=True, slots=True)
class DataEmoji(Command):
    """Fetch emoji of two vendors with their captions, once, and show what they hold.

    About 140 MB are fetched with `npm pack` at fixed versions and checked; 90 MB are kept.
    """

    cache: Path | None = None
    """Folder to keep them in; else $SMARTCLIP_CACHE, else ~/.cache/smartclip."""

    picture: Path | None = None
    """Write a contact sheet of images and captions (PNG) to this file."""

    def run(self) -> dict[str, Any]:
        from smartclip.data.emoji import EmojiData

        data = EmojiData.load(self.cache)
        family = data.family()
        texts = {caption.text for row in range(len(data)) for caption in data.captions_of(row)}
        values = {
            concept: len({emoji.values[concept] for emoji in data.emoji if concept in emoji.values})
            for concept in data.concepts
        }
        having = {
            concept: sum(concept in emoji.values for emoji in data.emoji)
            for concept in data.concepts
        }
        result: dict[str, Any] = {
            "images": len(data),
            "images_by_vendor": dict(Counter(data.vendors)),
            "images_by_split": dict(Counter(emoji.split for emoji in data.emoji)),
            "captions": sum(len(data.captions_of(row)) for row in range(len(data))),
            "texts": len(texts),
            "concepts": {
                concept: {"values": values[concept], "images": having[concept]}
                for concept in data.concepts
            },
            "family": [
                {"mentions": sorted(map(str, block)), "weight": weight}
                for block, weight in zip(family.captions, family.weights, strict=True)
            ],
        }
        console = Console()
        console.print(_counts(result))
        console.print(_concepts(result))
        console.print(_family(result))
        if self.picture is not None:
            from experiments.figures.emoji import emoji_sheet
            from experiments.figures.style import save

            save(emoji_sheet(data), self.picture)
            result["picture"] = str(self.picture)
            console.print(f"picture: {self.picture}")
        return result


HUB = "hub"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataAudit(Reading, Command):
    """Open every picture and count every caption of a data set, before anything is trained."""

    context: int = 77
    """Tokens a caption may have, start and end included; longer ones are counted."""

    quick: bool = False
    """Look only whether files exist and start as pictures; doubles and cut files are not found."""

    def run(self) -> dict[str, Any]:
        self.refuse_no_workers()
        if self.context < 2:
            raise InputError(
                f"--context {self.context}", rule="start and end take two tokens", fix="give more"
            )
        data = self.read()
        # These import torch, which no refusal above waits for.
        from smartclip.data.audit import audit
        from smartclip.data.prepared import INDEX, verify
        from smartclip.text import Tokenizer

        if self.source is not None and not self.quick and (self.source / INDEX).is_file():
            known = {problem.name for problem in data.problems}
            changed = (each for each in verify(self.source) if each.name not in known)
            data = replace(data, problems=(*data.problems, *changed))
        # Lengths do not depend on the vocabulary.
        tokenizer = Tokenizer(pieces=(), context=self.context)
        found = audit(data, tokenizer=tokenizer, workers=self.workers, quick=self.quick)
        title = Text(f"{shown(data.source)}: {found.records:,} records")
        table = Table(title=title, title_justify="left")
        table.add_column("what")
        table.add_column("number", justify="right")
        table.add_column("percent", justify="right")
        table.add_column("for example", overflow="fold")
        for what, number, percent, named in found.table().itertuples(index=False):
            table.add_row(what, f"{number:,}", f"{percent:.1f}", Text(named))
        console = Console()
        console.print(table)
        if len(found.parts) > 1:
            console.print(_parts(found))
        for line in found.reasons():
            console.print(Text(line), soft_wrap=True)
        console.print(f"{found.captions:,} captions, {found.image_bytes / 1e6:,.1f} MB of pictures")
        if not len(found.data):
            print(f"smartclip: {shown(data.source)} holds nothing usable", file=sys.stderr)
        return found.to_dict()

    def code(self, result: dict[str, Any]) -> int:
        return int(not result["usable"])


@dataclass(frozen=True, kw_only=True, slots=True)
class DataPrepare(Reading, Command):
    """Write a data set as shards with an index and checksums; go on after an interruption.

    The format "hub" streams a data set by its name through Hugging Face `datasets`.
    """

    resumes: ClassVar[bool] = True

    out: Path
    """Folder for the shards; made if it does not exist."""

    per_shard: int = 2000
    """Examples in one shard."""

    shorter_side: int | None = None
    """Make larger pictures smaller, to this many pixels along the shorter side."""

    skip: bool = False
    """Leave out pictures that cannot be used, and count them; without it the first is an error."""

    def run(self) -> dict[str, Any]:
        self.refuse_no_workers()
        data = self._stream() if self.format == HUB else self.read()
        from smartclip.data.prepared import LEFT_OUT, prepare

        written = prepare(
            data,
            self.out,
            per_shard=self.per_shard,
            shorter_side=self.shorter_side,
            skip=self.skip,
            workers=self.workers,
        )
        megabytes = written.image_bytes / 1e6
        print(f"{written.examples:,} examples in {written.shards:,} shards, {megabytes:,.1f} MB")
        if written.reused:
            print(f"{written.reused:,} shards were there already")
        for fault, count in sorted(written.left_out.items()):
            print(f"left out, {fault}: {count:,}")
        if written.left_out:
            print(f"each is named in {self.out / LEFT_OUT}")
        return {
            "folder": str(written.folder),
            "shards": written.shards,
            "examples": written.examples,
            "image_bytes": written.image_bytes,
            "left_out": dict(written.left_out),
            "reused": written.reused,
        }

    def _stream(self) -> "HubStream":
        from smartclip.data.hub import open_hub

        if self.source is None or self.pictures or self.roots:
            raise InputError(
                "a streamed data set without a name, or with --pictures or --roots",
                rule="a stream is named, and brings its pictures",
                fix="write smartclip data prepare NAME --format hub --split train",
            )
        return open_hub(self.source.as_posix(), split=self.split or "train")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataScenes(Command):
    """Say what the simulated scenes are made of, and show some with their captions."""

    picture: Path | None = None
    """Write a contact sheet of scenes and captions (PNG) to this file."""

    seed: int = 0
    """Which scenes."""

    pixels: int = 128
    """Side of a scene on the contact sheet; worlds draw 64 unless told otherwise."""

    def run(self) -> dict[str, Any]:
        from simulators import SceneWorld, grammar
        from simulators.scenes import LEVELS

        world = SceneWorld(pixels=self.pixels)
        batch = world.sample(4, seed=self.seed)
        family, space = world.family, world.family.space
        table = Table(title="What a scene is made of", title_justify="left")
        for column in ("concept", "values", "in words, for example"):
            table.add_column(column)
        for concept, levels in LEVELS.items():
            spoken = [words[0] for words in grammar.WORDS[concept.split()[-1]]]
            table.add_row(concept, " x ".join(map(str, levels)), ", ".join(spoken[:3]))
        console = Console(highlight=False)
        console.print(table)
        console.print(f"{len(family.captions)} kinds of caption; some captions:")
        texts = [str(text) for text in batch.text]
        mentions = [
            [str(name) for name in space.ordered(family.captions[which])]
            for which in batch.caption.tolist()
        ]
        for text, mentioned in zip(texts, mentions, strict=True):
            console.print(f"\n  {text}", markup=False)
            console.print(f"  mentions {', '.join(mentioned)}", style="bright_black", markup=False)
        result: dict[str, Any] = {
            "concepts": {concept: list(levels) for concept, levels in LEVELS.items()},
            "captions": [[str(name) for name in space.ordered(b)] for b in family.captions],
            "examples": [
                {"text": text, "mentions": mentioned}
                for text, mentioned in zip(texts, mentions, strict=True)
            ],
        }
        if self.picture is not None:
            from experiments.figures.scenes import scene_sheet
            from experiments.figures.style import save

            save(scene_sheet(world, seed=self.seed), self.picture)
            result["picture"] = str(self.picture)
            console.print(f"\npicture: {self.picture}")
        return result


@dataclass(frozen=True, kw_only=True, slots=True)
class DataExport(Command):
    """Write samples of a simulated world to files, so that they go the way of real data.

    Images, captions, the concepts each caption mentions, and the latents behind them.
    """

    world: Annotated[Literal["vectors", "scenes", "digits"], tyro.conf.Positional]
    """Which world."""

    out: Path
    """Folder for the files; made if it does not exist."""

    samples: int = 1000
    """How many images."""

    seed: int = 0
    """Of the samples: the same seed gives the same bytes."""

    layout: Literal["webdataset", "parquet"] = "webdataset"
    """Tar shards in the WebDataset format, or Parquet."""

    samples_per_shard: int = 10_000
    """Images in one file."""

    captions_per_image: int = 1
    """Captions of each image."""

    captions: str | None = None
    """Of vectors: captions separated by ";", the concepts of each by ",": "bear,pen;bear,chair"."""

    sizes: str | None = None
    """Of vectors: latent dimensions of a concept where it is not 1: "bear=2,pen=3"."""

    def run(self) -> dict[str, Any]:
        from simulators.export import export

        written = export(
            self._world(),
            self.out,
            samples=self.samples,
            seed=self.seed,
            layout=self.layout,
            samples_per_shard=self.samples_per_shard,
            captions_per_image=self.captions_per_image,
        )
        size = sum(path.stat().st_size for path in written.shards)
        print(f"{written.samples:,} samples in {len(written.shards):,} files, {size / 1e6:,.1f} MB")
        print(f"{written.shards[0]} ... and {written.family}")
        return {
            "samples": written.samples,
            "shards": [str(path) for path in written.shards],
            "family": str(written.family),
            "bytes": size,
        }

    def _world(self) -> "World":
        from simulators import DigitWorld, SceneWorld, VectorWorld
        from theory import CaptionFamily, Concept

        if self.world != "vectors":
            if self.captions is not None or self.sizes is not None:
                raise InputError(
                    f"captions or sizes for {self.world}",
                    rule="scenes and digits have concepts of their own",
                    fix="leave --captions and --sizes out, or export vectors",
                )
            return SceneWorld() if self.world == "scenes" else DigitWorld()
        captions = parse_captions(EXAMPLE if self.captions is None else self.captions)
        sizes: dict[Concept, int] = {}
        if self.sizes is not None:
            sizes.update(parse_sizes(self.sizes))
        return VectorWorld(CaptionFamily.from_captions(captions, sizes=sizes))


def _parts(found: "Audit") -> Table:
    table = Table(title="By source", title_justify="left")
    for name in ("source", "usable", "captions", "MB", "not usable", "why"):
        table.add_column(name, justify="left" if name in ("source", "why") else "right")
    for source, usable, captions, size, lost, why in found.by_source().itertuples(index=False):
        table.add_row(
            Text(shown(source)), f"{usable:,}", f"{captions:,}", f"{size:,.1f}", f"{lost:,}", why
        )
    return table


def _counts(result: dict[str, Any]) -> Table:
    table = Table(title="Emoji", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    table.add_row("images", f"{result['images']:,}")
    for vendor, count in result["images_by_vendor"].items():
        table.add_row(f"  drawn by {vendor}", f"{count:,}")
    names = {
        "train": "for training",
        "emoji": "held out: subject never seen",
        "combination": "held out: subject x gender x skin tone never seen together",
    }
    for split, name in names.items():
        table.add_row(f"  {name}", f"{result['images_by_split'].get(split, 0):,}")
    table.add_row("captions, over all images", f"{result['captions']:,}")
    table.add_row("distinct texts", f"{result['texts']:,}")
    return table


def _concepts(result: dict[str, Any]) -> Table:
    table = Table(title="Concepts", title_justify="left")
    table.add_column("concept")
    table.add_column("values", justify="right")
    table.add_column("images that have it", justify="right")
    for concept, counts in result["concepts"].items():
        table.add_row(concept, f"{counts['values']:,}", f"{counts['images']:,}")
    return table


def _family(result: dict[str, Any], most: int = 10) -> Table:
    family = result["family"]
    table = Table(
        title=f"Caption family: the {min(most, len(family))} commonest of {len(family)} captions",
        title_justify="left",
    )
    table.add_column("a caption mentions")
    table.add_column("share", justify="right")
    for entry in family[:most]:
        table.add_row(", ".join(entry["mentions"]), f"{100 * entry['weight']:.1f} %")
    return table
