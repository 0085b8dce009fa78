"""`smartclip predict`: captions -> identified blocks, why, why not, and what to add."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from experiments.caption_text import clean, parse_captions, parse_sizes, read_family, sized
from experiments.commands.command import Command
from theory import CaptionFamily, Concept, InputError, Prediction, predict
from theory.conditions import CONDITIONS
from theory.design import SECONDS, Addition, Progress, smallest_addition
from theory.prediction import ConditionName
from theory.theorems import STATEMENTS

EXAMPLE = "bear,pen;bear,chair"
SHOWN = 24
LISTED = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Predict(Command):
    """Say which concept blocks a set of captions identifies, why, and what to add.

    Without captions it explains the example "bear,pen;bear,chair".
    """

    captions: str | None = None
    """Captions separated by ";", the concepts of each by ",": "bear,pen;bear,chair"."""
    file: Path | None = None
    """Captions from a file instead. JSON: a list of lists, or an object with captions, sizes and
    weights. CSV: one caption a line, or a 0/1 table under the names of the concepts."""
    sizes: str | None = None
    """Latent dimensions of a concept where it is not 1: "bear=2,pen=3". A name with a comma or an
    equals sign stands in double quotes, here and in captions."""
    drop: Annotated[tuple[ConditionName, ...], tyro.conf.UseAppendAction] = ()
    """A condition not to assume (C1 to C5); may be repeated."""
    wanted: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A concept that should be identified alone; may be repeated. All of them by default."""
    max_caption_length: int | None = None
    """The most concepts a new caption may mention."""
    seconds: float = SECONDS
    """How long to search for fewer captions; then the best found so far is given, with its gap."""
    figure: Path | None = None
    """Draw the Hasse diagram and the dependency matrix into this PNG."""

    def run(self) -> dict[str, Any]:
        family = self.family()
        prediction = predict(family, without=self.drop)
        wanted = tuple(family.space.named(clean(name)) for name in self.wanted)
        if not 0 <= self.seconds < math.inf:
            raise InputError(
                f"--seconds {self.seconds}",
                rule="a search takes 0 seconds (the quick answer) or more",
                fix="give a number of seconds",
            )
        addition = searched(family, wanted, self.max_caption_length, self.seconds)
        console = Console(highlight=False, markup=False)
        show(console, prediction, addition, wanted)
        if self.figure is not None:
            from experiments.figures.lattice import prediction_figure
            from experiments.figures.style import save

            save(prediction_figure(prediction), self.figure)
            console.print(f"\nFigure: {self.figure}")
        return as_json(prediction, addition, wanted)

    def family(self) -> CaptionFamily:
        """The captions given, as a family."""
        if self.captions is not None and self.file is not None:
            raise InputError(
                "both --captions and --file are given",
                rule="captions come from one place",
                fix="drop one of them",
            )
        if self.file is not None:
            family = read_family(self.file)
        else:
            captions = EXAMPLE if self.captions is None else self.captions
            family = CaptionFamily(parse_captions(captions))
        return family if self.sizes is None else sized(family, parse_sizes(self.sizes))


def searched(
    family: CaptionFamily, wanted: tuple[Concept, ...], max_length: int | None, seconds: float
) -> Addition:
    """The fewest new captions, with a bar for the time that the search takes."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("what would separate them", total=seconds)

        def watch(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.seconds,
                description=f"fewest captions: {progress.lower_bound} to {progress.best}",
            )

        return smallest_addition(
            family, wanted or None, max_length=max_length, seconds=seconds, watch=watch
        )


def why(prediction: Prediction, concept: Concept) -> str:
    """One sentence a student can check against the captions."""
    family = prediction.family
    explanation = prediction.explain(concept)
    if not explanation.captions:
        return "no caption mentions it, so nothing in the code has to hold it"
    number = len(explanation.captions)
    where = captions_in_words(prediction, explanation.captions)
    if explanation.companions:
        others = words(family, explanation.companions)
        every = (
            f"the only caption that mentions it ({where})"
            if number == 1
            else (f"each of the {number} captions that mention it ({where})")
        )
        return f"{every} also mentions {others}"
    if number == 1:
        return f"caption {where} mentions it and nothing else"
    return f"the {number} captions that mention it ({where}) have nothing else in common"


def captions_in_words(prediction: Prediction, numbers: Iterable[int]) -> str:
    numbers = tuple(numbers)
    shown = ", ".join(str(number + 1) for number in numbers[:6])
    return f"{shown}, ..." if len(numbers) > 6 else shown


def words(family: CaptionFamily, block: Iterable[Concept]) -> str:
    names = [family.space.label(name) for name in family.space.ordered(block)]
    if len(names) > 8:
        return f"{', '.join(names[:7])} and {len(names) - 7} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def braces(family: CaptionFamily, block: Iterable[Concept]) -> str:
    return "{" + ", ".join(map(family.space.label, family.space.ordered(block))) + "}"


def show(
    console: Console, prediction: Prediction, addition: Addition, wanted: tuple[Concept, ...]
) -> None:
    """Print the explanation."""
    family = prediction.family
    console.print("Captions", style="bold")
    for number, caption in enumerate(family.captions[:SHOWN], start=1):
        console.print(f"  {number:>3}  {braces(family, caption)}")
    if len(family.captions) > SHOWN:
        console.print(f"       and {len(family.captions) - SHOWN} more")

    table = Table(title="What the captions identify", title_justify="left", title_style="bold")
    for column in ("concept", "dims", "identified", "cl(concept)", "why"):
        table.add_column(column, overflow="fold")
    for concept, size in list(zip(family.concepts, family.sizes, strict=True))[:LISTED]:
        if concept in prediction.unmentioned:
            verdict = Text("no: never mentioned", style="red")
        elif concept in prediction.alone:
            verdict = Text("alone", style="green")
        elif concept in prediction.incomplete:
            verdict = Text("pure, maybe incomplete", style="yellow")
        elif set(prediction.dropped) & {"C2", "C3"}:
            verdict = Text("nothing promised", style="red")
        else:
            others = words(family, prediction.entangled[concept])
            verdict = Text(f"only with {others}", style="yellow")
        closure = family.ring.closures.get(concept, frozenset())
        table.add_row(
            Text(family.space.label(concept)),
            str(size),
            verdict,
            Text(braces(family, closure)),
            Text(why(prediction, concept)),
        )
    console.print()
    console.print(table)
    if len(family.concepts) > LISTED:
        console.print(f"and {len(family.concepts) - LISTED} more concepts (all of them in --json)")

    tell_blocks(console, prediction)
    tell_conditions(console, prediction)

    console.print("\nWhat would separate them", style="bold")
    asked = words(family, wanted) if wanted else "every concept"
    if not addition:
        console.print(f"  Nothing is missing: {asked} is identified alone already.")
        return
    console.print(
        f"  For {asked} to be identified alone (under C2, C3 and C5), add "
        f"{len(addition)} caption{'s' if len(addition) > 1 else ''}:"
    )
    for caption in addition:
        console.print(f"       {braces(family, caption)}")
    if addition.optimal:
        console.print(f"  Fewer do not do it: {addition.reason}.")
    else:
        console.print(
            f"  At least {addition.lower_bound} are needed: {addition.reason}. "
            "--seconds gives the search more time."
        )


def tell_blocks(console: Console, prediction: Prediction) -> None:
    """List the identified blocks if they are few."""
    family = prediction.family
    answer = prediction.to_dict(limit=LISTED)
    if answer["identified"] is None:
        console.print(f"\nMore than {LISTED} blocks are identified; the closures above make them.")
        return
    table = Table(title="Identified blocks", title_justify="left", title_style="bold")
    for column in ("block", "by", "invertible"):
        table.add_column(column)
    for promise in map(prediction.promise, prediction.identified()):
        statement = STATEMENTS[promise.statement]
        table.add_row(
            Text(braces(family, promise.block)),
            f"{statement.number} {statement.title}",
            promise.invertible,
        )
    console.print()
    console.print(table if table.row_count else "No block is identified.")
    lost = [braces(family, block) for block in prediction.lost()]
    if lost:
        console.print(f"Lost without {', '.join(prediction.dropped)}: {', '.join(lost)}")


def tell_conditions(console: Console, prediction: Prediction) -> None:
    """Say what is assumed, and what dropping a condition costs."""
    console.print("\nConditions", style="bold")
    for condition in CONDITIONS.values():
        if condition.name in prediction.dropped:
            text = f"not assumed: {condition.without}"
            console.print(f"  {condition.name} {condition.title}: {text}", style="red")
        else:
            console.print(f"  {condition.name} {condition.title}: {condition.meaning}")


def as_json(
    prediction: Prediction, addition: Addition, wanted: tuple[Concept, ...]
) -> dict[str, Any]:
    """The whole answer in plain JSON types."""
    family = prediction.family
    label = family.space.label
    answer = prediction.to_dict()
    cited = {promise["statement"] for promise in answer["identified"] or []} | {"3.4", "3.5"}
    return answer | {
        "why": {label(concept): why(prediction, concept) for concept in family.concepts},
        "addition": {
            "wanted": [label(name) for name in wanted or family.concepts],
            "captions": [
                [label(name) for name in family.space.ordered(caption)] for caption in addition
            ],
            "lower_bound": addition.lower_bound,
            "optimal": addition.optimal,
            "reason": addition.reason,
        },
        "conditions_in_words": {name: CONDITIONS[name].meaning for name in prediction.conditions},
        "statements": {number: STATEMENTS[number].conclusion for number in sorted(cited) if number},
    }
