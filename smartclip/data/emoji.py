"""Emoji drawn by two vendors: real images, several real captions each, known concept blocks.

Images: Noto Emoji (Google) and Twemoji (Twitter), 64 pixels, from `emoji-datasource`; words:
Unicode labels and keywords, from `emojibase-data`. Fetched at fixed versions, never part of this
project. An emoji's concepts are read from its label (`smartclip.data.labels`).
"""

import hashlib
import io
import json
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors
from torch import Tensor

from smartclip.data.cache import cache_folder
from smartclip.data.labels import CONCEPTS, Caption, LabelReader, captions, skin_tone
from smartclip.data.npm import Package, fetch, members
from theory import CaptionFamily
from theory.errors import InputError
from theory.storage import write_atomically

Vendor = Literal["google", "twitter"]
Split = Literal["train", "emoji", "combination"]
VENDORS: tuple[Vendor, ...] = ("google", "twitter")
SPLITS: tuple[Split, ...] = ("train", "emoji", "combination")
SIDE = 64
BACKGROUND = 216
"""Grey behind the transparent parts: black and white emoji both stand out from it."""

IMAGES: dict[Vendor, Package] = {
    "google": Package(
        name="emoji-datasource-google",
        version="16.0.0",
        integrity="ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM"
        "9R4QxZkOPJCoT8DlPhfQ3A==",
        size=74_344_091,
    ),
    "twitter": Package(
        name="emoji-datasource-twitter",
        version="16.0.0",
        integrity="7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtp"
        "jFLWuZewWg8jBbuL2eyELQ==",
        size=61_683_754,
    ),
}
WORDS = Package(
    name="emojibase-data",
    version="17.0.0",
    integrity="Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
    size=6_711_091,
)
_FILE = "emoji-1.safetensors"  # the number changes with anything that changes the contents
_LICENCES = "emoji-licences.txt"
_SHOWS_PEOPLE = range(23, 32)  # subgroups of emojibase: person, role, sport, family ...
_LARGEST_JSON = 8_000_000
_LARGEST_PNG = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Emoji:
    """One emoji, drawn once by each vendor.

    Attributes:
        hexcode: its code points, such as `1F469-200D-1F692`.
        label: its Unicode label.
        values: the value of each concept it has.
        tags: its keywords.
        split: `train`; `emoji` if its subject is held out; `combination` if its subject, gender and
            skin tone occur in training, also by twos, but never all three together.
    """

    hexcode: str
    label: str
    values: dict[str, str]
    tags: tuple[str, ...]
    split: Split


@dataclass(frozen=True, kw_only=True, slots=True)
class EmojiBatch:
    """N images with one caption each.

    Attributes:
        image: [N, 3, 64, 64] float32 from -1 to 1.
        text: N captions.
        mentioned: [N, K] which concepts each caption mentions.
        index: [N] int64, row of each image in the data.
    """

    image: Float[Tensor, "n 3 h w"]
    text: list[str]
    mentioned: Bool[Tensor, "n k"]
    index: Int[Tensor, " n"]


@dataclass(frozen=True, kw_only=True)
class EmojiData:
    """Images with their captions; `load` fetches them, `subset` and `mentioning` choose.

    Attributes:
        emoji: the emoji of each image, M of them.
        vendors: who drew it.
        images: [M, 64, 64, 3] uint8.
        patterns: the sets of concepts that a caption may mention; None for all.
    """

    emoji: tuple[Emoji, ...]
    vendors: tuple[Vendor, ...]
    images: UInt8[np.ndarray, "m 64 64 3"]
    patterns: frozenset[frozenset[str]] | None = None
    _captions: tuple[tuple[Caption, ...], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Both vendors' images of an emoji share one tuple of captions.
        known: dict[str, tuple[Caption, ...]] = {}
        for emoji in self.emoji:
            if emoji.hexcode not in known:
                known[emoji.hexcode] = tuple(
                    caption
                    for caption in captions(emoji.label, emoji.values, emoji.tags)
                    if self.patterns is None or caption.concepts in self.patterns
                )
        object.__setattr__(self, "_captions", tuple(known[emoji.hexcode] for emoji in self.emoji))

    @classmethod
    def load(cls, cache: Path | None = None) -> "EmojiData":
        """All images, from the cache; the first call fetches about 140 MB with `npm pack`.

        Args:
            cache: folder for the finished data, about 95 MB; see `cache_folder`.

        Raises:
            InputError: npm is missing, a download failed or is not the expected one, or the cache
                cannot be written.
        """
        folder = cache_folder(cache)
        stored = _read(folder / _FILE)
        if stored is None:
            cache_folder(folder, needs=400_000_000)
            _build(folder)
            stored = _read(folder / _FILE)
            assert stored is not None
        emoji, vendors, images = stored
        return cls(emoji=emoji, vendors=vendors, images=images)

    def __len__(self) -> int:
        return len(self.emoji)

    @property
    def concepts(self) -> tuple[str, ...]:
        """The K concepts, in the order of the columns of `mentioned`."""
        return CONCEPTS

    def captions_of(self, index: int) -> tuple[Caption, ...]:
        """The captions of one image: its label, the label's parts, its kind, its keywords."""
        return self._captions[index]

    def subset(self, *, split: str | None = None, vendor: str | None = None) -> "EmojiData":
        """The images of one split, of one vendor, or of both."""
        for name, given, known in (("split", split, SPLITS), ("vendor", vendor, VENDORS)):
            if given is not None and given not in known:
                raise InputError(
                    f"{name} {given!r}",
                    rule=f"a {name} is one of {', '.join(known)}",
                    fix="choose one of them",
                )
        return self._rows(
            row
            for row, emoji in enumerate(self.emoji)
            if split in (None, emoji.split) and vendor in (None, self.vendors[row])
        )

    def mentioning(self, patterns: Iterable[Collection[str]]) -> "EmojiData":
        """Only captions that mention exactly one of these sets of concepts.

        Images without such a caption are left out. This is how a caption family is chosen: with
        `[["subject", "gender"], ["subject", "skin tone"]]` the subject is promised alone, gender
        and skin tone only together with it.
        """
        chosen = frozenset(frozenset(pattern) for pattern in patterns)
        unknown = sorted(set().union(*chosen) - set(CONCEPTS))
        if unknown or not all(chosen):
            raise InputError(
                f"the concept {unknown[0]!r}" if unknown else "a pattern without concepts",
                rule=f"a caption mentions some of {', '.join(CONCEPTS)}",
                fix="choose among them",
            )
        narrowed = replace(self, patterns=chosen)
        return narrowed._rows(row for row in range(len(self)) if narrowed._captions[row])

    def _rows(self, rows: Iterable[int]) -> "EmojiData":
        chosen = list(rows)
        return replace(
            self,
            emoji=tuple(self.emoji[row] for row in chosen),
            vendors=tuple(self.vendors[row] for row in chosen),
            images=self.images[chosen],
        )

    def family(self) -> CaptionFamily:
        """C: the sets of concepts that captions mention, weighted as `sample` draws them."""
        weights: defaultdict[frozenset[str], float] = defaultdict(float)
        for few in self._captions:
            for caption in few:
                weights[caption.concepts] += 1 / (len(few) * len(self))
        ordered = sorted(weights, key=lambda block: (-weights[block], sorted(block)))
        return CaptionFamily.from_captions(
            [[concept for concept in CONCEPTS if concept in block] for block in ordered],
            weights=[weights[block] for block in ordered],
        )

    def sample(
        self,
        n: int,
        *,
        seed: int,
        start: int = 0,
        device: torch.device | str | None = None,
    ) -> EmojiBatch:
        """Images start, ..., start + n - 1 of a seed, each with one of its captions.

        Item i of seed s is a pure function of (s, i). Each run of M items, from a multiple of M on,
        is one pass over all images in random order.
        """
        if len(self) == 0:
            raise InputError(
                "data without images", rule="a batch needs some", fix="choose another subset"
            )
        if min(n, seed, start) < 0:
            raise InputError(
                f"n={n}, seed={seed}, start={start}",
                rule="a sample is addressed by non-negative integers",
                fix="give numbers from 0 on",
            )
        rows = np.empty(n, dtype=np.int64)
        luck = np.empty(n)
        items = np.arange(start, start + n)
        epochs = items // len(self)
        for epoch in np.unique(epochs):
            order, uniform = _shuffled(len(self), seed, int(epoch))
            here = epochs == epoch
            rows[here] = order[items[here] % len(self)]
            luck[here] = uniform[items[here] % len(self)]
        said = [
            few[int(one * len(few))]
            for few, one in zip((self._captions[row] for row in rows), luck, strict=True)
        ]
        return EmojiBatch(
            image=self.pixels(rows, device=device),
            text=[caption.text for caption in said],
            mentioned=torch.tensor(
                [[concept in caption.values for concept in CONCEPTS] for caption in said],
                dtype=torch.bool,
                device=device,
            ).reshape(n, len(CONCEPTS)),
            index=torch.from_numpy(rows).to(device),
        )

    def pixels(
        self, rows: Int[np.ndarray, " n"] | slice, *, device: torch.device | str | None = None
    ) -> Float[Tensor, "n 3 64 64"]:
        """Images as a tower takes them, float32 from -1 to 1."""
        chosen = torch.from_numpy(self.images[rows]).to(device)
        return chosen.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def queries(
        self,
        sources: Collection[str] = ("label", "part"),
        *,
        gallery: "EmojiData | None" = None,
    ) -> tuple[list[str], Bool[Tensor, "images captions"]]:
        """The distinct captions of these images, and which images of a gallery each one describes.

        A caption describes every image that has all the values it says: "dark skin tone" describes
        hundreds, and counting one of them right and the others wrong would punish a model for
        being right. A text with several meanings describes what any of them does.

        Args:
            sources: which captions: `label`, `part`, `tags`.
            gallery: the images to choose among; these by default. To test held-out combinations
                take all images: among the held-out ones alone, subject and gender give the skin
                tone away.

        Returns:
            The texts, and [images, captions] true where the caption describes the image.
        """
        images = self if gallery is None else gallery
        meanings = {
            (caption.text, *sorted(caption.values.items())): caption
            for few in self._captions
            for caption in few
            if caption.source in sources
        }
        has = {
            pair: torch.tensor([emoji.values.get(pair[0]) == pair[1] for emoji in images.emoji])
            for pair in {pair for caption in meanings.values() for pair in caption.values.items()}
        }
        column = {text: number for number, text in enumerate(dict.fromkeys(k[0] for k in meanings))}
        describes = torch.zeros(len(column), len(images), dtype=torch.bool)
        for caption in meanings.values():
            described = [has[pair] for pair in caption.values.items()]
            describes[column[caption.text]] |= torch.stack(described).all(0)
        return list(column), describes.T


def _shuffled(
    count: int, seed: int, epoch: int
) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """The order of one pass over the images, and a uniform number that picks each caption."""
    generator = np.random.default_rng([seed, epoch])
    return generator.permutation(count), generator.random(count)


def _read(
    path: Path,
) -> tuple[tuple[Emoji, ...], tuple[Vendor, ...], UInt8[np.ndarray, "m 64 64 3"]] | None:
    """The stored data; None where there are none yet or the file is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            records, told = json.loads(file.metadata()["emoji"]), None
            if isinstance(records, dict):  # files of earlier versions have no digest
                records, told = records["records"], records["digest"]
            drawn: dict[str, np.ndarray] = {each: file.get_tensor(each) for each in VENDORS}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if told is not None and told != _digest(records, drawn):
        return None
    emoji = tuple(Emoji(**record | {"tags": tuple(record["tags"])}) for record in records)
    return (
        emoji * len(VENDORS),
        tuple(vendor for vendor in VENDORS for _ in emoji),
        np.concatenate([drawn[vendor] for vendor in VENDORS]),
    )


def _build(folder: Path) -> None:
    """Fetch the packages, read the wanted members, store one file."""
    packages = (WORDS, *IMAGES.values())
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="emoji-", dir=folder) as temporary,
        # Without a terminal a bar is an empty line, and an error has to be the only one.
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("fetching emoji", total=sum(each.size for each in packages))
        archives: dict[str, Path] = {}
        for package in packages:
            progress.update(task, description=f"fetching {package}")
            archives[package.name] = fetch(package, Path(temporary))
            progress.advance(task, package.size)
        words, licence = _read_words(archives[WORDS.name])
        pictures: dict[str, dict[str, bytes]] = {}
        licences = {str(WORDS): licence}
        for vendor, package in IMAGES.items():
            pictures[vendor], licences[str(package)] = _read_pictures(
                archives[package.name], vendor
            )
        records = [
            record
            for record in words
            if all(_key(record["hexcode"]) in some for some in pictures.values())
        ]
        records = _with_splits(records)
        task = progress.add_task("drawing", total=len(records) * len(VENDORS))
        arrays: dict[str, np.ndarray] = {}
        for vendor in VENDORS:
            arrays[vendor] = np.empty((len(records), SIDE, SIDE, 3), dtype=np.uint8)
            for row, record in enumerate(records):
                arrays[vendor][row] = _drawn(
                    pictures[vendor][_key(record["hexcode"])], record["label"]
                )
                progress.advance(task)
    with write_atomically(folder / _LICENCES) as path:
        path.write_text("\n\n".join(f"{name}\n{text}" for name, text in licences.items()))
    with write_atomically(folder / _FILE) as path:
        # One entry: safetensors puts several in any order, and equal data give equal bytes.
        told = json.dumps({"records": records, "digest": _digest(records, arrays)})
        path.write_bytes(to_safetensors(arrays, metadata={"emoji": told}))


def _digest(records: Any, drawn: dict[str, np.ndarray]) -> str:
    """BLAKE2b of all pixels and words: 90 MB take a tenth of a second."""
    state = hashlib.blake2b(json.dumps(records, sort_keys=True).encode(), digest_size=16)
    for vendor in VENDORS:
        state.update(np.ascontiguousarray(drawn[vendor]).data)
    return state.hexdigest()


def _read_words(archive: Path) -> tuple[list[dict[str, Any]], str]:
    """Label, concepts and keywords of every emoji, and the licence."""
    names = ("package/en/data.json", "package/meta/groups.json", "package/LICENSE")
    found = dict(members(archive, names.__contains__, largest=_LARGEST_JSON))
    data, groups = (json.loads(found[name]) for name in names[:2])
    reader = LabelReader([entry["label"] for entry in data])
    records: list[dict[str, Any]] = []
    for entry in data:
        subgroup = entry.get("subgroup")
        values = reader.values(entry["label"], person=subgroup in _SHOWS_PEOPLE)
        if subgroup is not None:
            values["kind"] = groups["subgroups"][str(subgroup)].replace("-", " ")
        for variant in (entry, *entry.get("skins", [])):
            tones = variant.get("tone", [])
            toned = {"skin tone": skin_tone(tones if isinstance(tones, list) else [tones])}
            records.append(
                {
                    "hexcode": variant["hexcode"],
                    "label": variant["label"],
                    "values": values | (toned if tones else {}),
                    "tags": entry.get("tags", []),
                }
            )
    return records, found[names[2]].decode()


def _read_pictures(archive: Path, vendor: str) -> tuple[dict[str, bytes], str]:
    """PNG files by name, and the licence."""
    folder = f"package/img/{vendor}/64/"
    found = dict(
        members(
            archive,
            lambda name: name == "package/LICENSE" or name.startswith(folder),
            largest=_LARGEST_PNG,
        )
    )
    licence = found.pop("package/LICENSE").decode()
    pictures = {_key(Path(name).stem): content for name, content in found.items()}
    return pictures, licence


def _key(hexcode: str) -> str:
    """Code points without U+FE0F (draw in colour), which some sources write and others do not."""
    return "-".join(point for point in hexcode.lower().split("-") if point != "fe0f")


def _drawn(png: bytes, label: str) -> UInt8[np.ndarray, "64 64 3"]:
    """The picture over the grey background."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        if picture.size != (SIDE, SIDE):
            raise InputError(
                f"the picture of {label!r} has {picture.size} pixels",
                rule=f"pictures have {SIDE} x {SIDE}",
                fix="fetch the pinned version of the package",
            )
        picture = picture.convert("RGBA")
    ground = Image.new("RGBA", picture.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
    return np.asarray(Image.alpha_composite(ground, picture).convert("RGB"))


def _with_splits(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold out a tenth of the subjects, and one skin tone of each subject and gender.

    The tone held out goes round with the gender (a Latin square), so that subject and tone, subject
    and gender, gender and tone all occur together in training.
    """
    genders = ("woman", "man", "person")
    has: dict[str, set[str]] = {}
    for record in records:
        values = record["values"]
        has.setdefault(values.get("subject", ""), set()).add(values.get("gender", ""))
    single = [skin_tone([tone]) for tone in range(1, 6)]
    for record in records:
        values = record["values"]
        subject, gender, tone = (
            values.get(name, "") for name in ("subject", "gender", "skin tone")
        )
        several = sum(each in has[subject] for each in genders) > 1
        record["split"] = "train"
        if subject and _hash(f"emoji {subject}") % 10 == 0:
            record["split"] = "emoji"
        elif subject and several and gender in genders and tone in single:
            held_out = (_hash(f"tone {subject}") + genders.index(gender)) % 5
            if single.index(tone) == held_out:
                record["split"] = "combination"
    return records


def _hash(words: str) -> int:
    """The same number on every machine."""
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest())
