"""A study: a hypothesis, a grid of cases, a measure, figures, and a conclusion from the numbers.

A study is one file in this folder with one subclass of `Study`. The harness runs the cases that are
not in the table yet, in a pool of processes of one thread each, and writes the page, the table and
the figures. So a study can be stopped at any time, and the same command goes on where it was.
"""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, get_args

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress

from experiments.figures.style import save
from experiments.markdown import markdown
from smartclip.methods import METHODS
from theory.errors import InputError
from theory.storage import write_atomically

if TYPE_CHECKING:
    import torch

Size = Literal["smoke", "laptop", "full"]
Row = dict[str, Any]
Case = TypeVar("Case")
"""A frozen dataclass of plain values that names one run of the grid."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a study makes of its table.

    Attributes:
        conclusion: what came out, in words, computed from the numbers.
        tables: for people, each with a title.
        figures: name -> figure, and what to see in it.
    """

    conclusion: str
    tables: Sequence[tuple[str, pd.DataFrame]]
    figures: Mapping[str, tuple[Figure, str]]


class Study(ABC, Generic[Case]):
    """One question to training, asked of a grid of cases.

    Args:
        debug: data and models at toy size, to see that everything runs.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self.debug = debug

    name: ClassVar[str]
    """On the command line, and of the page."""
    title: ClassVar[str]
    hypothesis: ClassVar[str]
    """What was expected, written down before the runs."""
    about: ClassVar[str]
    """How it is asked: data, methods, measure, what was chosen on what."""
    seeds: ClassVar[Mapping[Size, tuple[int, ...]]]
    """By size; none of them was used to choose anything."""

    @abstractmethod
    def cases(self, size: Size, seeds: Sequence[int], only: Sequence[str]) -> list[Case]:
        """The grid.

        Args:
            size: smoke takes seconds, laptop minutes to an hour on two cores, full is complete.
            seeds: of initial weights, batches and gates.
            only: methods, or other parts of the grid; empty for those of the study.
        """

    @abstractmethod
    def measure(self, case: Case, runs: Path, device: "torch.device") -> list[Row]:
        """Train and measure one case on one thread: one or several rows.

        Args:
            case: which.
            runs: keeps run folders, where the study keeps any.
            device: of the models.
        """

    @abstractmethod
    def page(self, table: pd.DataFrame) -> Page:
        """What the rows of all cases say."""


def run_study(
    study: Study[Any],
    *,
    size: Size = "laptop",
    seeds: Sequence[int] | None = None,
    only: Sequence[str] = (),
    out: Path,
    runs: Path = Path("runs"),
    workers: int = 2,
    device: str = "cpu",
    pool: Callable[[int, str], AbstractContextManager[Executor]] | None = None,
) -> tuple[pd.DataFrame, Page]:
    """Run the cases that are missing, and write the page.

    Args:
        study: which.
        size: of the grid.
        seeds: instead of those of the study.
        only: parts of the grid.
        out: the Markdown page; the table lies beside it as CSV, figures in `pictures/`.
        runs: keeps run folders.
        workers: processes, one thread each.
        device: of the models; the workers share a GPU.
        pool: makes them; a pool of processes by default.

    Returns:
        The table of all cases so far, with those of earlier calls, and what the page says.

    Raises:
        InputError: an unknown size, or an empty grid.
    """
    if size not in get_args(Size):
        raise InputError(
            f"size {size!r}",
            rule=f"a size is one of {', '.join(get_args(Size))}",
            fix="choose one of them",
        )
    cases = study.cases(size, study.seeds[size] if seeds is None else seeds, only)
    if not cases:
        raise InputError("a grid without cases", rule="a study has cases", fix="name some seeds")
    store = out.with_suffix(".csv")
    columns = [field.name for field in fields(cases[0])]
    rows = pd.read_csv(store).to_dict("records") if store.exists() else []
    done = {tuple(row[column] for column in columns) for row in rows}
    wanted = [case for case in cases if astuple(case) not in done]
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    console, failed = Console(stderr=True), list[BaseException]()
    with (pool or processes)(workers, device) as workforce, Progress(console=console) as progress:
        futures = {workforce.submit(measured, study, case, runs, device): case for case in wanted}
        for future in progress.track(
            as_completed(futures), total=len(wanted), description=study.name
        ):
            if (error := future.exception()) is not None:
                failed.append(error)  # the others go on, and what they find is kept
                continue
            rows += [asdict(futures[future]) | row for row in future.result()]
            with write_atomically(store) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False)
            told = ", ".join(map(str, astuple(futures[future])))
            progress.console.print(f"done: {told}", markup=False)
    if failed:
        raise failed[0]
    table = in_order(pd.DataFrame(rows).sort_values(columns, kind="stable", ignore_index=True))
    page = study.page(table)
    _write(study, page, store.name, out)
    return table, page


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of `smartclip.methods`, ours first; what is no method there comes last."""
    if "method" not in table:
        return table
    place = {name: number for number, name in enumerate(METHODS)}
    return table.sort_values(
        "method",
        key=lambda names: names.map(lambda name: place.get(name, len(place))),
        kind="stable",
        ignore_index=True,
    )


@contextmanager
def processes(workers: int, device: str = "cpu") -> Iterator[Executor]:
    """Processes that end with this one: Ctrl-C reaches them all, and one of them speaks.

    For a GPU they start afresh, since a process that has used one cannot be forked.
    """
    context = None if device == "cpu" else get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_silence) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                child.terminate()
            raise


def _silence() -> None:
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))


def measured(study: Study[Any], case: Any, runs: Path, device: str) -> list[Row]:
    """The rows of a case, in a process of its own or in this one."""
    import torch

    from experiments.device import choose_device

    torch.set_num_threads(1)
    return study.measure(case, runs, choose_device(device))


def _write(study: Study[Any], page: Page, store: str, out: Path) -> None:
    parts = [
        f"# {study.title}",
        f"**Hypothesis.** {study.hypothesis}",
        f"**What came out.** {page.conclusion}",
        study.about,
        f"Every row is in [{store}]({store}). The command: `smartclip study {study.name}`.",
    ]
    for name, (figure, told) in page.figures.items():
        picture = save(figure, out.parent / "pictures" / f"{name}.png")
        parts.append(f"![{told}]({picture.relative_to(out.parent).as_posix()})")
    for title, table in page.tables:
        parts.append(f"## {title}\n\n{markdown(table.to_dict('records'))}")
    with write_atomically(out) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
