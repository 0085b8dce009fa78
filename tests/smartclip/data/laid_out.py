"""Small random data sets in every layout, with planted faults, and what they really hold."""

import csv
import gzip
import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

WORDS = (
    "a dog, running",
    'he said "no"',
    '"quoted" at first',
    "na\xefve caf\xe9",
    "cafe\u0301 in two marks",
    "semi; colon",
    "an <end_of_text> inside",
    "a \U0001f436",
    "[/b]a [red]",
    "\x1b[31mred",
    "long " + "x" * 300,
    "bidi \u202e mark",
)
NAMES = ("a b", "\xfc", "dot.v2", "[red]", "q'uote", "\x1b[31m", "plain", "10", "UP")
STATES = ("ok", "ok", "ok", "damaged exif", "absent", "empty", "garbage", "cut")


@dataclass
class Item:
    """A picture of a data set.

    Attributes:
        name: of the file, with its ending.
        state: of its bytes.
        captions: that it has; none for a picture that nobody captioned.
        blank: a record names it with a blank caption.
    """

    name: str
    state: str
    captions: list[str]
    blank: bool

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def is_there(self) -> bool:
        return self.state != "absent"

    @property
    def is_named(self) -> bool:
        return bool(self.captions) or self.blank

    @property
    def opens(self) -> bool:
        return self.state in ("ok", "damaged exif")


@dataclass
class Truth:
    """What a reader and an audit have to find; None where a fault makes it unknown."""

    path: Path
    pictures: int | None = 0
    captions: int | None = 0
    usable: int | None = 0
    options: dict[str, Any] = field(default_factory=dict)


def content(item: Item, rng: random.Random) -> bytes:
    stream = io.BytesIO()
    picture = Image.new("RGB", (9, 7), tuple(rng.randrange(256) for _ in range(3)))
    picture.save(stream, "JPEG" if item.name.lower().endswith("jpg") else "PNG")
    whole = stream.getvalue()
    if item.state == "damaged exif" and whole.startswith(b"\x89PNG"):
        body = b"eXIf" + b"MM no exif at all"
        crc = zlib.crc32(body) ^ rng.randrange(2)  # with the right checksum, and with a wrong one
        return (
            whole[:33]
            + struct.pack(">I", len(body) - 4)
            + body
            + struct.pack(">I", crc)
            + whole[33:]
        )
    return {
        "empty": b"",
        "garbage": b"this is no picture",
        "cut": whole[: len(whole) // 2],
    }.get(item.state, whole)


def items(rng: random.Random, *, most: int = 3, flat: bool = False) -> list[Item]:
    """2 to 7 pictures, each with up to `most` captions."""
    found = []
    for number in range(rng.randint(2, 7)):
        name = f"{number}{rng.choice(NAMES)}.{rng.choice(('jpg', 'png', 'JPG'))}"
        if not flat and rng.random() < 0.3:
            name = f"deep/{name}"
        count = rng.choice((0, 1, 1, *range(1, most + 1)))
        captions = [f"{rng.choice(WORDS)} {number} {part}" for part in range(count)]
        item = Item(name, rng.choice(STATES), captions, blank=count == 0 and rng.random() < 0.5)
        found.append(item)
    return found


def pictures(folder: Path, found: list[Item], rng: random.Random) -> None:
    """Write the files; some lie elsewhere and are linked."""
    for item in found:
        if not item.is_there:
            continue
        path = folder / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 0.2:
            kept = folder.parent / f".kept {item.name.replace('/', ' ')}"
            kept.write_bytes(content(item, rng))
            path.symlink_to(kept)
        else:
            path.write_bytes(content(item, rng))
    deep = folder / "deep"
    if deep.is_dir() and rng.random() < 0.5:
        deep.rename(folder.parent / "really deep")
        deep.symlink_to(folder.parent / "really deep")


def listed(folder: Path, found: list[Item]) -> list[Item]:
    """Those that a table can know of: named, or in a folder where another is named.

    A table does not say in which other folders its pictures might lie.
    """
    where = {item.name.rpartition("/")[0] for item in found if item.is_named}
    return [
        item
        for item in found
        if item.is_named or (item.is_there and item.name.rpartition("/")[0] in where)
    ]


def truth(path: Path, found: list[Item], **options: Any) -> Truth:
    return Truth(
        path,
        pictures=len(found),
        captions=sum(len(item.captions) for item in found),
        usable=sum(item.opens and bool(item.captions) for item in found),
        options=options,
    )


def with_strangers(told: Truth, records: int, outside: int) -> Truth:
    """`outside` records name pictures outside of the folder, `records` are none."""
    del records
    told.pictures += outside
    told.captions += outside
    return told


def pairs(found: list[Item]) -> list[tuple[str, str]]:
    rows = [(item.name, caption) for item in found for caption in item.captions]
    return rows + [(item.name, " ") for item in found if item.blank]


def rows_table(ending: str, delimiter: str, *, header: bool = True, mark: str = "") -> Callable:
    def write(root: Path, rng: random.Random) -> Truth:
        folder = root / "set"
        found = items(rng)
        pictures(folder, found, rng)
        folder.mkdir(exist_ok=True)
        path = folder / f"table.{ending}"
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=delimiter)
        if header:
            writer.writerow(("image", "caption"))
        rows = [*pairs(found), ("../evil.jpg", "An evil one.")]
        rng.shuffle(rows)
        if not header:
            rows.insert(0, ("0first.jpg", "A first one."))
        writer.writerows(rows)
        writer.writerow(("alone",))
        path.write_text(mark + stream.getvalue(), encoding="utf-8", newline="")
        known = truth(path, listed(folder, found))
        # A picture of the folder is told only if the table names one beside it.
        if not header:
            known = truth(
                path, listed(folder, [*found, Item("0first.jpg", "absent", ["A."], False)])
            )
        return with_strangers(known, 1, 1)

    return write


def records(
    name: str,
    make: Callable[[Item], list[Any]],
    *,
    lines: bool = False,
    most: int = 3,
    **options: Any,
) -> Callable:
    """A table of JSON, a list or an object a line."""

    def write(root: Path, rng: random.Random) -> Truth:
        folder = root / "set"
        found = items(rng, most=most)
        pictures(folder, found, rng)
        folder.mkdir(exist_ok=True)
        told = [record for item in found if item.is_named for record in make(item)]
        evil = Item("../evil.jpg", "absent", ["An evil one."], False)
        told += make(evil)
        path = folder / name
        if lines:
            text = [json.dumps(each, ensure_ascii=rng.random() < 0.5) for each in told]
            text.insert(rng.randrange(len(text) + 1) if len(text) > 1 else 1, "{broken")
            text.insert(1, "[" * 30_000)
            path.write_text("\n".join(text), encoding="utf-8")
        else:
            told.insert(1, rng.choice((7, None, [], {})))
            path.write_text(json.dumps(told), encoding="utf-8")
        return with_strangers(truth(path, listed(folder, found), **options), 1, 1)

    return write


def told_of(item: Item) -> list[Any]:
    return item.captions or [None]


def coco(root: Path, rng: random.Random) -> Truth:
    folder = root / "coco"
    found = [item for item in items(rng) if item.is_there or item.is_named]
    pictures(folder / "val2017", found, rng)
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    images = [{"id": at, "file_name": item.name} for at, item in enumerate(found)]
    notes = [
        {"image_id": at, "caption": caption, "id": 0}
        for at, item in enumerate(found)
        for caption in item.captions
    ]
    notes.append({"image_id": 999, "caption": "Of none."})
    path = folder / "annotations" / "captions_val2017.json"
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": notes}))
    return truth(rng.choice((path, folder)), found)


def karpathy(root: Path, rng: random.Random) -> Truth:
    folder = root / "set"
    found = items(rng)
    pictures(folder, found, rng)
    folder.mkdir(exist_ok=True)
    images = [
        {
            "filename": item.name.rpartition("/")[2],
            "filepath": item.name.rpartition("/")[0],
            "split": "train",
            "sentences": [{"raw": caption} for caption in item.captions],
        }
        for item in found
        if item.is_named
    ]
    images.append({"filename": "0x.jpg", "split": "test", "sentences": [{"raw": "Another."}]})
    path = folder / "dataset.json"
    path.write_text(json.dumps({"images": images, "dataset": "flickr8k"}))
    if rng.random() < 0.5 and any(image["split"] == "train" for image in images):
        # The picture of the other split is named, and so its folder is looked into.
        known = listed(folder, [*found, Item("0x.jpg", "absent", ["A."], False)])
        return truth(path, [item for item in known if item.name != "0x.jpg"], split="train")
    return truth(path, listed(folder, [*found, Item("0x.jpg", "absent", ["A."], False)]))


def flickr30k(root: Path, rng: random.Random) -> Truth:
    folder = root / "flickr"
    found = items(rng, most=5, flat=True)
    found.append(Item("first.jpg", "ok", ["A first one."], False))
    pictures(folder / "flickr30k-images", found, rng)
    kind = rng.choice(("token", "bars", "annotated"))
    if kind == "token":
        rows = [f"{name}#{at}\t{told}" for at, (name, told) in enumerate(reversed(pairs(found)))]
        path = folder / "results_20130124.token"
        path.write_text("\n".join([*rows, "no tab here"]) + "\n")
    elif kind == "bars":
        rows = [f"{name}| {at}| {told}" for at, (name, told) in enumerate(pairs(found))]
        path = folder / "results.csv"
        path.write_text("\n".join(["image_name| comment_number| comment", *rows, "x| 4  y"]))
    else:
        stream = io.StringIO()
        writer = csv.writer(stream)
        writer.writerow(("raw", "sentids", "split", "filename", "img_id"))
        for item in found:
            if item.is_named:
                writer.writerow((json.dumps(item.captions), "[0]", "train", item.name, 0))
        writer.writerow(("{no json", "[0]", "train", "x.jpg", 0))
        path = folder / "flickr_annotations_30k.csv"
        path.write_text(stream.getvalue(), newline="")
    return truth(rng.choice((path, folder)), [i for i in found if i.is_there or i.is_named])


def flickr8k(root: Path, rng: random.Random) -> Truth:
    folder = root / "flickr8k"
    found = items(rng, most=5, flat=True)
    found.append(Item("first.jpg", "ok", ["A first one."], False))
    pictures(folder / "Images", found, rng)
    lines = ["image,caption"]
    for name, told in pairs(found):
        quoted = '"' + told.replace('"', '""') + '"'
        plain = '"' not in told and rng.random() < 0.5
        lines.append(f"{name},{told if plain else quoted}")
    (folder / "captions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = rng.choice((folder, folder / "captions.txt"))
    return truth(path, [item for item in found if item.is_there or item.is_named])


def beside(kind: str) -> Callable:
    """A text beside each picture: `folder`, `urban1k` or `img2dataset`."""

    def write(root: Path, rng: random.Random) -> Truth:
        folder = root / kind
        found = [
            item
            for item in items(rng, most=1, flat=kind != "folder")
            if item.is_there or item.is_named
        ]
        place = {"urban1k": folder / "image", "img2dataset": folder / "00000"}.get(kind, folder)
        texts = folder / "caption" if kind == "urban1k" else place
        for made in (place, texts):
            made.mkdir(parents=True, exist_ok=True)
        found.append(Item("last.jpg", "ok", ["The last."], False))
        for item in found:
            if item.is_named:
                path = texts / f"{item.stem}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(item.captions) or " \n", encoding="utf-8")
                if kind == "img2dataset" and item.is_there:
                    told = {"caption": rng.choice((None, "".join(item.captions))), "status": "x"}
                    path.with_suffix(".json").write_text(json.dumps(told))
        there = [item for item in found if "/" not in item.name]
        pictures(place, there, rng)
        for item in found:
            if "/" in item.name and item.is_there:
                (place / item.name).parent.mkdir(exist_ok=True)
                (place / item.name).write_bytes(content(item, rng))
        if kind == "img2dataset":
            (folder / "00000_stats.json").write_text("{}")
            table = pa.table({"url": ["x"], "caption": ["y"]})
            parquet.write_table(table, folder / "00000.parquet")
        told = truth(folder, found)
        (texts / ".DS_Store").write_bytes(b"\0")
        (place / "._last.jpg").write_bytes(b"\0")
        if rng.random() < 0.5:
            name = "\udcff\udcfe.jpg"  # no UTF-8
            (place / name).write_bytes(b"x")
            (texts / "\udcff\udcfe.txt").write_text("Of a name that is none.")
            told.pictures += 1
            told.captions += 1
        return told

    return write


def folder_with_table(root: Path, rng: random.Random) -> Truth:
    told = rows_table("csv", ",", mark="\ufeff")(root, rng)
    told.path = told.path.rename(told.path.with_name("metadata.csv")).parent
    return told


def docci(root: Path, rng: random.Random) -> Truth:
    folder = root / "docci"
    found = items(rng, most=1, flat=True)
    found.append(Item("first.jpg", "ok", ["A first one."], False))
    pictures(folder / "images", found, rng)
    lines = [
        json.dumps({"split": "train", "image_file": item.name, "description": told})
        for item in found
        if item.is_named
        for told in told_of(item)
    ]
    (folder / "docci_descriptions.jsonlines").write_text("\n".join([*lines, "{broken"]))
    return truth(folder, [item for item in found if item.is_there or item.is_named])


def multi30k(root: Path, rng: random.Random) -> Truth:
    folder = root / "multi30k"
    found = items(rng, most=1, flat=True)
    for item in found:
        item.captions = item.captions or ["Something."]
    found.append(Item("first.jpg", "ok", ["A first one."], False))
    pictures(folder, found, rng)
    (folder / "train_images.txt").write_text("\n".join(item.name for item in found))
    for number in (1, 2):
        text = "\n".join(f"{item.captions[0]} {number}" for item in found) + "\n"
        (folder / f"train.{number}.en.gz").write_bytes(gzip.compress(text.encode()))
    for item in found:
        item.captions = item.captions * 2
    return truth(folder, found)


def shards(root: Path, rng: random.Random) -> Truth:
    """A tar, with one header damaged now and then; the truth is that of the members that remain."""
    folder = root / "shards"
    folder.mkdir()
    members: list[tuple[str, bytes, Item]] = []
    found = items(rng, flat=True)
    for item in found:
        item.name = item.name.replace("\x1b", "e")
        if item.is_there:
            members.append((item.name.lower(), content(item, rng), item))
        if item.is_named:
            stem = item.stem.lower()
            if len(item.captions) != 1 or rng.random() < 0.3:
                told = json.dumps({"captions": [*item.captions, None]})
                members.append((f"{stem}.json", told.encode(), item))
            if len(item.captions) == 1 or item.blank:
                members.append((f"{stem}.txt", ("".join(item.captions) or "\n").encode(), item))
    again = Item("again.jpg", "ok", ["Again."], False)
    for _ in range(2):
        members.append(("again.jpg", content(again, rng), again))
        members.append(("again.txt", b"Again.", again))
    if rng.random() < 0.3:
        rng.shuffle(members[:-4])
    path = folder / "00000.tar"
    places = []
    with tarfile.open(path, "w") as tar:
        for name, told, _ in members:
            member = tarfile.TarInfo(name)
            member.size = len(told)
            places.append(tar.offset)
            tar.addfile(member, io.BytesIO(told))
    gone = rng.randrange(len(members) - 4) if len(members) > 4 and rng.random() < 0.6 else None
    if gone is not None:
        raw = bytearray(path.read_bytes())
        raw[places[gone] + rng.randrange(100)] ^= 0x55
        path.write_bytes(raw)
        if not members[gone][0].isascii():
            gone = None  # that was the header of its name, and the name is known from what it said
    left = [member for at, member in enumerate(members[:-4]) if at != gone]
    pictures_left = captions_left = usable = 0
    for item in found:
        kinds = {name.rpartition(".")[2]: told for name, told, owner in left if owner is item}
        image = kinds.keys() & {"jpg", "png"}
        spoken = "txt" in kinds or ("json" in kinds and item.captions)
        said = len(item.captions) if spoken else 0
        pictures_left += bool(image or "txt" in kinds or said)
        captions_left += said
        usable += bool(image and said and item.opens)
    return Truth(
        rng.choice((path, folder)),
        pictures=pictures_left + 2,
        captions=captions_left + 2,
        usable=usable + 2,
    )


def columns(kind: str) -> Callable:
    def write(root: Path, rng: random.Random) -> Truth:
        folder = root / "rows"
        folder.mkdir()
        found = items(rng, flat=True)
        named = kind in ("names", "paths")
        if named:
            found.append(Item("first.jpg", "ok", ["A first one."], False))
            pictures(folder, found, rng)
            kept = [item for item in found if item.is_named]
        else:
            kept = [item for item in found if item.is_there or item.is_named]
            kept.append(Item("first.jpg", "ok", ["A first one."], False))
        captions: Any = [item.captions or None for item in kept]
        raw = [content(item, rng) if item.is_there else None for item in kept]
        if kind == "categories":
            for item in kept:
                item.captions = item.captions[:1]
            first = [item.captions[0] if item.captions else None for item in kept]
            captions = pa.array(first, pa.string()).dictionary_encode()
        table: dict[str, Any] = {
            "bytes": lambda: {"jpg": pa.array(raw, pa.binary()), "txt": captions},
            "categories": lambda: {"jpg": pa.array(raw, pa.binary()), "caption": captions},
            "structs": lambda: {
                "image": [{"bytes": one, "path": None} for one in raw],
                "caption": captions,
            },
            "names": lambda: {"file_name": [item.name for item in kept], "text": captions},
            "paths": lambda: {
                "image": pa.array(
                    [{"bytes": None, "path": item.name} for item in kept],
                    pa.struct({"bytes": pa.binary(), "path": pa.string()}),
                ),
                "caption": captions,
            },
        }[kind]()
        path = folder / "train-00000-of-00001.parquet"
        parquet.write_table(pa.table(table), path)
        known = [item for item in found if item.is_there or item.is_named] if named else kept
        return truth(rng.choice((path, folder)), known)

    return write


LAYOUTS: dict[str, Callable[[Path, random.Random], Truth]] = {
    "csv": rows_table("csv", ","),
    "csv with a mark": rows_table("csv", ",", mark="\ufeff"),
    "csv with semicolons": rows_table("csv", ";"),
    "csv without a header": rows_table("csv", ",", header=False),
    "tsv": rows_table("tsv", "\t"),
    "jsonl": records(
        "table.jsonl", lambda i: [{"image": i.name, "captions": i.captions or " "}], lines=True
    ),
    "captions": records("val.json", lambda i: [{"image": i.name, "caption": i.captions}]),
    "sharegpt4v": records(
        "share.json",
        lambda i: [{"image": i.name, "conversations": [{"from": "gpt", "value": told_of(i)[0]}]}],
        most=1,
    ),
    "iiw": records(
        "data.jsonl",
        lambda i: [{"image/key": i.name, "IIW": told_of(i)[0]}],
        lines=True,
        most=1,
    ),
    "coco": coco,
    "karpathy": karpathy,
    "flickr30k": flickr30k,
    "flickr8k": flickr8k,
    "folder": beside("folder"),
    "folder with a table": folder_with_table,
    "urban1k": beside("urban1k"),
    "img2dataset": beside("img2dataset"),
    "docci": docci,
    "multi30k": multi30k,
    "webdataset": shards,
    "parquet of bytes": columns("bytes"),
    "parquet of categories": columns("categories"),
    "parquet of structs": columns("structs"),
    "parquet of names": columns("names"),
    "parquet of paths": columns("paths"),
}
