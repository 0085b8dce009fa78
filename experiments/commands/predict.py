"""`smartclip predict`: captions -> identified blocks, why, why not, and what to add."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.commands.command import Command
from theory import CaptionFamily, Concept, InputError, Prediction, predict
from theory.conditions import CONDITIONS
from theory.design import Addition, smallest_addition
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
    weights. CSV: one caption a line."""
    sizes: str | None = None
    """Latent dimensions of a concept where it is not 1: "bear=2,pen=3"."""
    drop: Annotated[tuple[ConditionName, ...], tyro.conf.UseAppendAction] = ()
    """A condition not to assume (C1 to C5); may be repeated."""
    wanted: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A concept that should be identified alone; may be repeated. All of them by default."""
    max_caption_length: int | None = None
    """The most concepts a new caption may mention."""
    figure: Path | None = None
    """Draw the Hasse diagram and the dependency matrix into this PNG."""

    def run(self) -> dict[str, Any]:
        family = self.family()
        prediction = predict(family, without=self.drop)
        addition = smallest_addition(
            family, self.wanted or None, max_length=self.max_caption_length
        )
        console = Console(highlight=False, markup=False)
        tell(console, prediction, addition, self.wanted)
        if self.figure is not None:
            from experiments.figures.lattice import prediction_figure
            from experiments.figures.style import save

            save(prediction_figure(prediction), self.figure)
            console.print(f"\nFigure: {self.figure}")
        return as_json(prediction, addition, self.wanted)

    def family(self) -> CaptionFamily:
        """The captions given, as a family."""
        if self.captions is not None and self.file is not None:
            raise InputError(
                "both --captions and --file are given",
                rule="captions come from one place",
                fix="drop one of them",
            )
        given: dict[str, Any] = {
            "captions": parse_captions(EXAMPLE if self.captions is None else self.captions)
        }
        if self.file is not None:
            given = read_captions(self.file)
        if self.sizes is not None:
            given["sizes"] = parse_sizes(self.sizes)
        return CaptionFamily.from_captions(
            given["captions"], sizes=given.get("sizes"), weights=given.get("weights")
        )


def parse_captions(text: str) -> list[list[str]]:
    """ "bear,pen;bear,chair" -> [["bear", "pen"], ["bear", "chair"]]."""
    return [
        [name.strip() for name in caption.split(",") if name.strip()]
        for caption in text.strip().removesuffix(";").split(";")
    ]


def parse_sizes(text: str) -> dict[str, int]:
    """ "bear=2,pen=3" -> {"bear": 2, "pen": 3}."""
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, equals, size = part.partition("=")
        if not equals or not size.strip().lstrip("-").isdigit():
            raise InputError(
                f"--sizes holds {part.strip()!r}",
                rule="a size is written concept=number",
                fix='write for example --sizes "bear=2,pen=3"',
            )
        sizes[name.strip()] = int(size)
    return sizes


def read_captions(path: Path) -> dict[str, Any]:
    """The arguments of `CaptionFamily.from_captions` from a JSON or CSV file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({error})",
            rule="captions are read from a text file",
            fix="check the path; JSON and CSV in UTF-8 are understood",
        ) from error
    if path.suffix.lower() == ".csv":
        rows = csv.reader(text.splitlines())
        captions = [[cell.strip() for cell in row if cell.strip()] for row in rows]
        return {"captions": [caption for caption in captions if caption]}
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not JSON ({error})",
            rule="a file that does not end in .csv holds JSON",
            fix='write [["bear", "pen"], ["bear", "chair"]]',
        ) from error
    given = {"captions": given} if isinstance(given, list) else given
    if (
        not isinstance(given, dict)
        or not isinstance(given.get("captions"), list)
        or not given.keys() <= {"captions", "sizes", "weights"}
    ):
        raise InputError(
            f"{path} holds something else than captions",
            rule="the file is a list of captions or an object with captions, sizes, weights",
            fix='write [["bear", "pen"], ["bear", "chair"]]',
        )
    if not isinstance(given.get("sizes", {}), dict) or not isinstance(
        given.get("weights", []), list
    ):
        raise InputError(
            f"{path} holds sizes or weights of the wrong form",
            rule="sizes map concepts to numbers, weights are one number a caption",
            fix='write {"captions": [["bear"]], "sizes": {"bear": 2}, "weights": [1]}',
        )
    for number, caption in enumerate(given["captions"]):
        if not isinstance(caption, list) or not all(isinstance(k, str | int) for k in caption):
            raise InputError(
                f"caption {number} of {path} is {caption!r}",
                rule="a caption is a list of names",
                fix='write for example ["bear", "pen"]',
            )
    return given


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
    names = [str(name) for name in family.space.ordered(block)]
    if len(names) > 8:
        return f"{', '.join(names[:7])} and {len(names) - 7} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def braces(family: CaptionFamily, block: Iterable[Concept]) -> str:
    return "{" + ", ".join(str(name) for name in family.space.ordered(block)) + "}"


def tell(
    console: Console, prediction: Prediction, addition: Addition, wanted: tuple[str, ...]
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
            Text(str(concept)),
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
        console.print(f"  At least {addition.lower_bound} are needed: {addition.reason}.")


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


def as_json(prediction: Prediction, addition: Addition, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The whole answer in plain JSON types."""
    family = prediction.family
    answer = prediction.to_dict()
    cited = {promise["statement"] for promise in answer["identified"] or []} | {"3.4", "3.5"}
    return answer | {
        "why": {str(concept): why(prediction, concept) for concept in family.concepts},
        "addition": {
            "wanted": [str(name) for name in wanted or family.concepts],
            "captions": [
                [str(name) for name in family.space.ordered(caption)] for caption in addition
            ],
            "lower_bound": addition.lower_bound,
            "optimal": addition.optimal,
            "reason": addition.reason,
        },
        "conditions_in_words": {name: CONDITIONS[name].meaning for name in prediction.conditions},
        "statements": {number: STATEMENTS[number].conclusion for number in sorted(cited) if number},
    }
