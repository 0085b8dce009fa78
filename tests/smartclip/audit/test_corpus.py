import gzip
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from smartclip.audit.captioned import LeftOut
from smartclip.audit.corpus import open_corpus
from theory.errors import InputError

TEXTS = ["A bear with a pen.", "A bear.", "A pen on a chair."]
LINES = "".join(f"{text}\n" for text in TEXTS)


def read(*paths: Path, **options: str) -> tuple[list[tuple[str | None, str]], LeftOut]:
    left = LeftOut()
    corpus = open_corpus(paths, **options)
    return [(one.picture, one.text) for one in corpus.stream(left)], left


def zipped(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content))
    else:
        with pa.OSFile(str(path), "wb") as out, pa.CompressedOutputStream(out, "zstd") as packed:
            packed.write(content)
    return path


def made(folder: Path, name: str) -> Path:
    """The three captions in a layout, without a single picture."""
    path = folder / name
    records = [{"caption": text} for text in TEXTS]
    bare = name.removesuffix(".gz").removesuffix(".zst")
    if bare.endswith(".txt"):
        content = LINES.encode()
    elif bare.endswith(".jsonl"):
        content = "".join(json.dumps(record) + "\n" for record in records).encode()
    elif bare == "coco.json":
        images = [{"id": k, "file_name": f"{k}.jpg"} for k in range(3)]
        notes = [{"image_id": k, **record} for k, record in enumerate(records)]
        content = json.dumps({"images": images, "annotations": notes}).encode()
    elif bare == "karpathy.json":
        images = [
            {"filename": f"{k}.jpg", "split": "test", "sentences": [{"raw": text}]}
            for k, text in enumerate(TEXTS)
        ]
        content = json.dumps({"images": images}).encode()
    elif bare.endswith(".json"):
        content = json.dumps([{"image": f"{k}.jpg", **r} for k, r in enumerate(records)]).encode()
    elif bare.endswith(".csv"):
        content = ("caption\n" + LINES).encode()
    elif bare.endswith(".tsv"):
        rows = "".join(f"{k}.jpg\t{text}\n" for k, text in enumerate(TEXTS))
        content = ("image\tcaption\n" + rows).encode()
    elif bare.endswith(".parquet"):
        parquet.write_table(pa.table({"caption": TEXTS}), path)
        return path
    elif bare.endswith(".tar"):
        with tarfile.open(path, "w") as tar:
            for k, text in enumerate(TEXTS):
                entry = tarfile.TarInfo(f"{k:04d}.txt")
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        return path
    else:
        (path / "caption").mkdir(parents=True)
        (path / "image").mkdir()
        for k, text in enumerate(TEXTS):
            (path / "caption" / f"{k}.txt").write_text(text)
        return path
    if name != bare:
        return zipped(path, content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("a.txt", "a.txt.gz", "a.txt.zst", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json"),
        *("a.json.zst", "a.csv", "a.csv.gz", "a.tsv", "a.parquet", "a.tar", "coco.json", "urban"),
        *("karpathy.json", "coco.json.gz"),
    ],
)
def test_every_layout_gives_the_same_captions_without_pictures(tmp_path: Path, name: str) -> None:
    found, left = read(made(tmp_path, name))
    assert [text for _, text in found] == TEXTS
    assert left.count == 0


def test_texts_side_by_side_are_captions_of_the_same_pictures(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"first {name}\n\nthird {name}\n")
    found, left = read(tmp_path / "one.txt", tmp_path / "two.txt")
    assert found == [
        ("line 1", "first one.txt"),
        ("line 1", "first two.txt"),
        ("line 3", "third one.txt"),
        ("line 3", "third two.txt"),
    ]
    assert left.first == ["one.txt line 2: no caption", "two.txt line 2: no caption"]


def test_a_folder_with_one_text_has_a_caption_a_line(tmp_path: Path) -> None:
    made(tmp_path, "a.txt")
    assert [text for _, text in read(tmp_path)[0]] == TEXTS


def test_texts_of_different_lengths_are_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a\nb\nc\n")
    (tmp_path / "two.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"two\.txt ends before line 3"):
        read(tmp_path / "one.txt", tmp_path / "two.txt")


def test_several_tables_are_parts_of_one_corpus(tmp_path: Path) -> None:
    paths = [made(tmp_path, "a.jsonl"), made(tmp_path, "b.jsonl")]
    assert [text for _, text in read(*paths)[0]] == TEXTS * 2


def test_bytes_that_are_not_utf8_cost_one_line_and_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"A bear.\n\xff\xfe\xfa nonsense\nA pen.\n")
    # The first bytes of the file decide the encoding; those of a line do not.
    found, left = read(tmp_path / "a.txt")
    assert [text for _, text in found] == ["A bear.", "A pen."]
    assert left.first == ["a.txt line 2: characters that are not UTF-8"]


def test_a_mark_and_both_forms_of_an_accent_are_one_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffcafe\u0301\ncaf\xe9\n".encode())
    (tmp_path / "b.txt").write_bytes("cafe\u0301\n".encode("utf-16"))
    assert [text for _, text in read(tmp_path / "a.txt")[0]] == ["caf\xe9", "caf\xe9"]
    assert [text for _, text in read(tmp_path / "b.txt")[0]] == ["caf\xe9"]


def test_a_cut_gzip_is_one_error(tmp_path: Path) -> None:
    whole = gzip.compress(LINES.encode() * 2000)
    (tmp_path / "a.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.txt\.gz could not be read"):
        read(tmp_path / "a.txt.gz")


def test_gzip_files_put_together_are_read_to_the_end(tmp_path: Path) -> None:
    one = gzip.compress(b"a bear\n")
    (tmp_path / "a.txt.gz").write_bytes(one + one)
    assert len(read(tmp_path / "a.txt.gz")[0]) == 2


def test_records_without_words_are_told(tmp_path: Path) -> None:
    lines = ['{"caption": "a bear"}', "{", '{"size": 3}', '{"caption": 7}', '{"caption": ""}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found, left = read(tmp_path / "a.jsonl")
    assert found == [(None, "a bear")]
    assert left.count == 4
    assert [line.partition(":")[0] for line in left.first] == [
        f"a.jsonl line {number}" for number in (2, 3, 4, 5)
    ]


def test_tags_stand_in_a_column(tmp_path: Path) -> None:
    rows = [
        {"caption": "x", "tags": ["bear", "pen"]},
        {"captions": ["x", "y"], "tags": [["bear"], ["pen"]]},
        {"caption": "x", "tags": "bear, chair"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "a.csv").write_text("image,caption,tags\n1.jpg,x,bear;pen\n1.jpg,y,chair\n")
    parquet.write_table(pa.Table.from_pylist(rows[:1]), tmp_path / "a.parquet")

    def tags(name: str) -> list[tuple[str, ...]]:
        return [one.tags for one in open_corpus([tmp_path / name], tags="tags").stream(LeftOut())]

    assert tags("a.jsonl") == [("bear", "pen"), ("bear",), ("pen",), ("bear", "chair")]
    assert tags("a.csv") == [("bear", "pen"), ("chair",)]
    assert tags("a.parquet") == [("bear", "pen")]


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("absent.txt", {}, "does not exist"),
        ("a.txt", {"tags": "tags"}, "tags of text"),
        ("a.txt", {"split": "test"}, "it has none"),
        ("a.txt", {"format": "nonsense"}, "the formats are text"),
        ("a.parquet", {"tags": "nothing"}, "choose one of them with --tags"),
        ("a.csv", {"tags": "nothing"}, "columns"),
        ("a.bin", {}, "looks like none of the formats"),
    ],
)
def test_refusals(tmp_path: Path, name: str, options: dict[str, str], told: str) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01")
    for each in ("a.txt", "a.parquet", "a.csv"):
        made(tmp_path, each)
    with pytest.raises(InputError, match=told):
        read(tmp_path / name, **options)
