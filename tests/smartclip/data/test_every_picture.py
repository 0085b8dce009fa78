"""Pictures found = used + left out with a reason each, and captions likewise, in every layout."""

import importlib.util
import random
import re
import sys
from pathlib import Path

import pytest

from smartclip.data.audit import audit
from smartclip.data.formats import FORMATS, read
from smartclip.data.prepared import prepare, read_prepared
from theory.errors import InputError

_SPEC = importlib.util.spec_from_file_location("laid_out", Path(__file__).with_name("laid_out.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
laid_out = importlib.util.module_from_spec(_SPEC)
sys.modules["laid_out"] = laid_out
_SPEC.loader.exec_module(laid_out)

LAYOUTS = laid_out.LAYOUTS
NEVER = re.compile(
    r" at 0x[0-9a-f]{4}|Traceback|object has no attribute|Error\(|[\x00-\x09\x0b-\x1f]"
)


def clean(told: str) -> None:
    assert not NEVER.search(told), told
    told.encode()


def check(layout: str, seed: int, root: Path) -> None:
    rng = random.Random(f"{layout} {seed}")
    truth = LAYOUTS[layout](root, rng)
    data = read(truth.path, **truth.options)
    found = audit(data, workers=1)
    for line in found.reasons(most=100):
        clean(line)
    for name in found.table()["for example"]:
        clean(name)
    why = f"{layout} {seed}\n" + "\n".join(found.reasons(100))
    assert (found.pictures_found, found.captions_found, len(found.data)) == (
        truth.pictures,
        truth.captions,
        truth.usable,
    ), why
    out = root / "out"
    done = prepare(data, out, skip=True, per_shard=3, workers=1)
    assert (done.examples, sum(done.left_out.values())) == (truth.usable, len(found.data.problems))
    if truth.usable:
        again = read_prepared(out)
        assert not again.problems
        assert [e.captions for e in again] == [e.captions for e in found.data]


def damaged(layout: str, seed: int, root: Path) -> None:
    """A file of the data set loses its end, or some bytes: one line, and never a traceback."""
    rng = random.Random(f"damaged {layout} {seed}")
    truth = LAYOUTS[layout](root, rng)
    folder = truth.path if truth.path.is_dir() else truth.path.parent
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in rng.sample(files, min(2, len(files))):
        if not path.exists():
            continue  # a link to what is gone already
        raw = bytearray(path.read_bytes())
        how = rng.choice(("cut", "flip", "empty", "gone", "latin"))
        if how == "cut":
            raw = raw[: rng.randrange(len(raw) + 1)]
        elif how == "flip" and raw:
            for _ in range(rng.randint(1, 8)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        elif how == "latin":
            raw = bytearray(raw.replace(b"\xc3\xa9", b"\xe9"))
        elif how == "empty":
            raw = bytearray()
        path.unlink() if how == "gone" else path.write_bytes(raw)
    try:
        data = read(truth.path, **truth.options)
        found = audit(data, workers=1)
        for line in found.reasons(most=100):
            clean(line)
        prepare(data, root / "out", skip=True, workers=1)
    except InputError as error:
        clean(str(error))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_picture_and_caption_is_used_or_left_out(layout: str, tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / f"{seed}").mkdir()
        check(layout, seed, tmp_path / f"{seed}")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files_are_told_in_a_line(layout: str, tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / f"{seed}").mkdir()
        damaged(layout, seed, tmp_path / f"{seed}")


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2, 14))
def test_three_hundred_data_sets(seed: int, tmp_path: Path) -> None:
    for layout in LAYOUTS:
        for name, trial in (("sound", check), ("damaged", damaged)):
            root = tmp_path / f"{layout} {name}"
            root.mkdir()
            trial(layout, seed, root)


def test_every_layout_on_disk_is_tried() -> None:
    written = {name.split(" ")[0] for name in LAYOUTS}
    elsewhere = {"prepared", "world", "sugarcrepe"}  # made by others, or like `captions`
    assert {each.name for each in FORMATS.values() if not each.made} <= written | elsewhere
