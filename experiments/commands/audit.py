"""`smartclip audit CAPTIONS`: which concepts can these captions ever tell apart?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from experiments.commands.command import Command
from smartclip.data.printed import shown
from theory.errors import InputError

if TYPE_CHECKING:
    from smartclip.audit.advice import Advice
    from smartclip.audit.comparison import Comparison
    from smartclip.audit.findings import Findings, Tie
    from smartclip.audit.run import Concepts
    from smartclip.audit.words import Words

_ROWS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit(Command):
    """Say which concepts captions can ever tell apart, whatever model is trained on them.

    Pictures are not needed. Concepts are the words of the captions and the names that they make of
    several, unless a vocabulary or a column of tags lists them.
    """

    captions: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """A table, text, shard or folder; of several texts line i of each is of picture i."""

    format: str | None = None
    """How they are laid out: text, or a format of `smartclip data audit`; found out by default."""

    split: str | None = None
    """One split, such as test, of formats that have several."""

    vocabulary: Path | None = None
    """A file with a concept a line: "dog", or "dog: hound, puppy"."""

    tags: str | None = None
    """The column, or the key, that lists concepts beside each caption."""

    least: int = 10
    """Captions that mention a concept that is found in the words."""

    most: int = 10_000
    """Concepts that are found in the words, the most said ones; at most 20,000."""

    wanted: tuple[str, ...] = ()
    """Concepts to give advice about; by default the most said of those not identified alone."""

    against: Path | None = None
    """Other captions to compare with."""

    html: Path | None = None
    """Write a page with all tables, the graph and the curve to this file."""

    def run(self) -> dict[str, Any]:
        from smartclip.audit.advice import advise
        from smartclip.audit.comparison import compare
        from smartclip.audit.run import Concepts

        concepts = Concepts(
            vocabulary=self.vocabulary, tags=self.tags, least=self.least, most=self.most
        )
        if self.html is not None and self.html.suffix.lower() not in (".html", ".htm"):
            raise InputError(
                f"--html {self.html}", rule="a page is HTML", fix="give a name that ends in .html"
            )
        found, words = self._audit(self.captions, concepts)
        advice = advise(found, words, self.wanted)
        console = Console(highlight=False)
        _print(console, found, advice)
        result = found.to_dict() | {"advice": advice.to_dict()}
        compared = None
        if self.against is not None:
            other, _ = self._audit((self.against,), concepts)
            compared = found, other, compare(found, other)
            _print_comparison(console, *compared)
            result |= {"against": other.to_dict(), "comparison": compared[2].to_dict()}
        if self.html is not None:
            from experiments.caption_report import write_caption_report

            write_caption_report(self.html, found, advice, compared)
            console.print(f"page: {self.html}", markup=False, soft_wrap=True)
            result["html"] = str(self.html)
        return result

    def _audit(self, paths: tuple[Path, ...], concepts: "Concepts") -> "tuple[Findings, Words]":
        from smartclip.audit.run import audit_captions

        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        disable = not console.is_terminal  # else a bar is an empty line
        with Progress(*columns, console=console, transient=True, disable=disable) as progress:
            task = progress.add_task("reading captions")

            def seen(count: int) -> None:
                progress.update(task, description=f"{count:,} captions read")

            return audit_captions(paths, concepts, format=self.format, split=self.split, seen=seen)


def _print(console: Console, found: "Findings", advice: "Advice") -> None:
    table = Table(title=Text(f"Captions of {shown(found.source)}"), title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    several = found.per_picture
    rows = [
        ("captions", f"{found.captions:,}"),
        ("  different ones", f"{found.distinct:,}"),
        ("  of several sentences", f"{found.longer:,}"),
        ("  that mention no concept", f"{found.without_concepts:,}"),
        ("  left out", f"{found.left_out.count:,}"),
        ("pictures", f"{found.pictures:,}"),
        ("concepts mentioned", f"{int((found.mentions > 0).sum()):,}"),
        ("  identified alone", f"{int(found.alone.sum()):,}"),
        ("  surely, with more than 1 % exceptions each", f"{int(found.surely.sum()):,}"),
        ("atoms of several concepts, never apart", f"{len(found.atoms):,}"),
        ("pairs never apart", f"{found.never_count:,}"),
        ("pairs apart in at most 10 % of captions", f"{found.nearly_count:,}"),
    ]
    if several is not None:
        share = 100 * several.separated / max(1, several.pairs)
        rows += [
            ("pictures with several captions", f"{several.several:,}"),
            ("  pairs of their concepts that their captions separate", f"{share:.1f} %"),
            ("  pictures where they separate every pair", f"{several.all_separated:,}"),
            ("  pictures where one caption says all", f"{several.covered:,}"),
        ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in found.left_out.first:
        console.print(Text(f"left out: {line}"), soft_wrap=True)
    _print_ties(console, "Never apart, by captions touched", found.never, found.never_count)
    _print_ties(console, "Apart in at most 10 % of captions", found.nearly, found.nearly_count)
    if found.samplers:
        samplers = Table(title="The same captions through each sampler", title_justify="left")
        for name in ("sampler", "keeps"):
            samplers.add_column(name)
        for name in ("alone", "often", "pairs tied", "pairs apart within a caption"):
            samplers.add_column(name, justify="right")
        for one in found.samplers:
            samplers.add_row(
                one.name,
                one.about,
                f"{one.alone:,}",
                f"{one.often:,}",
                f"{one.tied:,}",
                f"{100 * one.within:.1f} %",
            )
        console.print(samplers)
    for line in advice.lines():
        console.print(Text(line), soft_wrap=True)


def _print_ties(console: Console, title: str, ties: "list[Tie]", count: int) -> None:
    if not ties:
        return
    table = Table(title=f"{title}: {min(_ROWS, len(ties))} of {count:,}", title_justify="left")
    table.add_column("concept")
    table.add_column("comes with")
    for name in ("captions", "without it", "bound", "PMI", "sentences apart"):
        table.add_column(name, justify="right")
    for tie in ties[:_ROWS]:
        table.add_row(
            Text(shown(tie.counts.concept)),
            Text(shown(tie.counts.other)),
            f"{tie.counts.mentions:,}",
            f"{tie.counts.exceptions:,}",
            f"{100 * tie.high:.2g} %",
            f"{tie.pmi:.1f}",
            f"{tie.sentences:,}",
        )
    console.print(table)


def _print_comparison(
    console: Console, first: "Findings", second: "Findings", compared: "Comparison"
) -> None:
    table = Table(title="Compared", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    table.add_column("for example", overflow="fold")
    for what, names in (
        ("identified alone in both", compared.alone_in_both),
        (f"only in {shown(first.source, 40)}", compared.alone_in_first),
        (f"only in {shown(second.source, 40)}", compared.alone_in_second),
        ("mentioned in both, alone in neither", compared.bound_in_both),
        (
            "pairs never apart in the first that the second shows apart",
            [f"{cut.concept} / {cut.other}" for cut in compared.cuts if cut.exceptions],
        ),
    ):
        table.add_row(Text(what), f"{len(names):,}", Text(shown(", ".join(names[:6]))))
    console.print(table)
