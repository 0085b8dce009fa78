"""The attack: hundreds of faults of machine and files, and a table of what became of each kind.

    pytest -m faults tests/test_attack.py -s

A trial is *survived* if its result is bit for bit that without the fault, *refused* if one clear
line says what is wrong, *lost* if what was there cannot be had again, *silent* if another result
comes without a word. The last two are never, and no traceback is.
"""

import importlib.util
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.datasets.vectors import Vectors
from experiments.run import Run, trained
from smartclip.train import checkpoint
from smartclip.train.checkpoint import CHECKPOINT, read_checkpoint
from smartclip.train.lock import one_writer
from theory.errors import InputError

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    # Shards are written here by one process, which torch finds worth a word.
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled"),
]
CPU = torch.device("cpu")
OPTIONS = Vectors(debug=True, captions="a,b;b", samples=128)
STEPS = 24
OUTCOMES = ("survived", "refused", "lost", "silent", "traceback")
CLEAR = re.compile(r"[^\n]+; [^\n]+: [^\n]+")
FORK = multiprocessing.get_context("fork")

State = tuple[dict[str, str], dict[str, torch.Tensor]]


def run(root: Path) -> State:
    """A short training to its end."""
    data = OPTIONS.load()
    asked = Run.of(data, "ours", seed=2, steps=STEPS)
    done = trained(asked, data, root, device=CPU, quiet=True)
    return read_checkpoint(done.folder.path / CHECKPOINT)


def same(one: State, other: State) -> bool:
    return (
        one[0] == other[0]
        and one[1].keys() == other[1].keys()
        and all(torch.equal(each, other[1][name]) for name, each in one[1].items())
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    torch.set_num_threads(1)  # so that a process may be forked
    root = tmp_path_factory.mktemp("whole")
    return root, run(root)


def outcome(trial: Callable[[], bool], *, lost: bool = False) -> str:
    """What became of one: `trial` says whether its result is the right one."""
    try:
        return "survived" if trial() else "silent"
    except InputError as error:
        if not CLEAR.fullmatch(str(error)):
            return "traceback"
        return "lost" if lost else "refused"
    except Exception:  # noqa: BLE001  (that is what is counted)
        return "traceback"


def killed_at_a_moment(root: Path, rng: random.Random, expected: State) -> str:
    """SIGKILL up to three times, then once more without."""
    for _ in range(rng.randint(1, 3)):
        child = FORK.Process(target=run, args=(root,))
        child.start()
        time.sleep(rng.uniform(0.0, 0.6))
        if child.pid and child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join()
    return outcome(lambda: same(run(root), expected), lost=True)


def killed_while_writing(root: Path, rng: random.Random, expected: State) -> str:
    """SIGKILL before or within the n-th write of a checkpoint, its bytes half there."""
    at, names = rng.randrange(12), ("save_file", "_link", "_remove")

    def dying(name: str, counted: list[int]) -> Callable[..., Any]:
        original = getattr(checkpoint, name)

        def write(*arguments: Any, **named: Any) -> Any:
            counted[0] += 1
            if counted[0] <= at:
                return original(*arguments, **named)
            if name == "save_file":
                original(*arguments, **named)
                path = Path(arguments[1])
                os.truncate(path, rng.randrange(path.stat().st_size))
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return write

    def die() -> None:
        counted = [0]
        for name in names:
            setattr(checkpoint, name, dying(name, counted))
        run(root)

    child = FORK.Process(target=die)
    child.start()
    child.join()
    return outcome(lambda: same(run(root), expected), lost=True)


def damaged(path: Path, rng: random.Random, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "flip":
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    else:
        del content[rng.randrange(len(content)) :]
    path.write_bytes(content)


def changed_checkpoint(how: str) -> Callable[[Path, random.Random, State], str]:
    def trial(root: Path, rng: random.Random, expected: State) -> str:
        path = root / CHECKPOINT
        header, tensors = expected
        known = {key: header[key] for key in ("step", "best", "config")}
        root.mkdir(parents=True, exist_ok=True)
        checkpoint._save_whole(path, tensors, known)
        damaged(path, rng, how)
        return outcome(lambda: same(read_checkpoint(path), expected))

    return trial


def changed_sharded(root: Path, rng: random.Random, expected: State) -> str:
    path = root / "checkpoint-00000024.sharded"
    header, tensors = expected
    known = {key: header[key] for key in ("step", "best", "config")}
    root.mkdir(parents=True, exist_ok=True)
    checkpoint._save_sharded(path, tensors, known)
    damaged(rng.choice(sorted(path.iterdir())), rng, rng.choice(("flip", "cut")))

    def read() -> bool:
        found = read_checkpoint(path)[1]
        return all(torch.equal(each, found[name]) for name, each in tensors.items())

    return outcome(read)


def second_writer(root: Path, rng: random.Random, expected: State) -> str:
    """Another process has the folder for a while; the second is refused, then goes on."""
    folder = _folder(root)
    ready = FORK.Event()

    def hold() -> None:
        with one_writer(folder, CPU):
            ready.set()
            time.sleep(60)

    child = FORK.Process(target=hold)
    child.start()
    ready.wait(30)
    first = outcome(lambda: same(run(root), expected))
    if child.pid:
        os.kill(child.pid, signal.SIGKILL)
    child.join()
    if first != "refused":
        return "silent"
    return "refused" if same(run(root), expected) else "silent"


def _folder(root: Path) -> Path:
    data = OPTIONS.load()
    return Run.of(data, "ours", seed=2, steps=STEPS).folder(root, data).path


def damaged_data() -> Iterator[Callable[[Path, random.Random, State], str]]:
    """Every layout of the tests of `smartclip.data`, with files cut, flipped, emptied or gone."""
    place = Path(__file__).parent / "smartclip" / "data" / "test_every_picture.py"
    spec = importlib.util.spec_from_file_location("every_picture", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["every_picture"] = module
    spec.loader.exec_module(module)

    def of(layout: str) -> Callable[[Path, random.Random, State], str]:
        def trial(root: Path, rng: random.Random, expected: State) -> str:
            root.mkdir(parents=True, exist_ok=True)

            def told() -> bool:
                module.damaged(layout, rng.randrange(10**6), root)
                return True

            return outcome(told)

        return trial

    for layout in module.LAYOUTS:
        yield of(layout)


def test_the_attack(
    whole: tuple[Path, State],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smartclip.train.lock.PATIENCE", 0.0)
    _, expected = whole
    data = list(damaged_data())
    kinds: dict[str, tuple[int, list[Callable[[Path, random.Random, State], str]]]] = {
        "killed while training": (30, [killed_at_a_moment]),
        "killed while writing a checkpoint": (30, [killed_while_writing]),
        "bits of a checkpoint flipped": (200, [changed_checkpoint("flip")]),
        "a checkpoint cut": (50, [changed_checkpoint("cut")]),
        "a sharded checkpoint flipped or cut": (60, [changed_sharded]),
        "two writers": (10, [second_writer]),
        "damaged data sets and archives": (4 * len(data), data),
    }
    rng = random.Random(0)
    table = dict[str, Counter[str]]()
    for kind, (count, trials) in kinds.items():
        table[kind] = Counter()
        for number in range(count):
            root = tmp_path / "trial"
            table[kind][trials[number % len(trials)](root, rng, expected)] += 1
            shutil.rmtree(root, ignore_errors=True)
    with capsys.disabled():
        print(f"\n{'':36}{'tried':>10}" + "".join(f"{name:>10}" for name in OUTCOMES))
        for kind, found in table.items():
            counts = "".join(f"{found[name]:>10}" for name in OUTCOMES)
            print(f"{kind:36}{sum(found.values()):>10}{counts}")
    total = sum(table.values(), Counter[str]())
    assert (total["lost"], total["silent"], total["traceback"]) == (0, 0, 0)
    assert table["killed while training"]["survived"] == 30
    assert table["killed while writing a checkpoint"]["survived"] == 30
    assert table["two writers"]["refused"] == 10
