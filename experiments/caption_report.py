"""One page about a corpus of captions: what it can tell apart, what it cannot, what to add."""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from experiments.figures.captions import DRAWN, accompaniment_figure, sampler_figure, size_figure
from experiments.figures.style import save
from experiments.report import Picture, html_table
from smartclip.audit.advice import Advice
from smartclip.audit.comparison import Comparison
from smartclip.audit.findings import Findings, Tie
from smartclip.data.printed import shown
from theory.storage import write_atomically

Compared = tuple[Findings, Findings, Comparison]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of the page.

    Attributes:
        title: what it is about.
        text: how to read it.
        lines: a list of sentences.
        pictures: what to look at.
        tables: each with a title.
        words: its tables hold words rather than numbers.
    """

    title: str
    text: str
    lines: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[tuple[str, pd.DataFrame]] = ()
    words: bool = False


def write_caption_report(
    path: Path, found: Findings, advice: Advice, compared: Compared | None = None
) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        found: about the corpus.
        advice: what to do.
        compared: two corpora and what differs.
    """
    environment = Environment(loader=PackageLoader("experiments", "templates"), autoescape=True)
    environment.filters["table"] = html_table
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # A sign that the font lacks is drawn as a box; the tables have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        page = environment.get_template("captions.html.j2").render(
            title=f"Captions of {shown(found.source)}",
            verdict=_verdict(found),
            facts=_facts(found),
            left_out=found.left_out.first,
            sections=_parts(found, advice, compared, Path(folder)),
        )
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _verdict(found: Findings) -> str:
    said = int((found.mentions > 0).sum())
    alone = int(found.alone.sum())
    text = f"{alone:,} of {said:,} concepts are identified alone"
    if alone == said:
        return text + ": each is seen without every other one."
    return (
        f"{text}; {said - alone:,} are never seen without another, so no model that is shown whole "
        "captions can tell them from it."
    )


def _facts(found: Findings) -> list[tuple[str, str]]:
    facts = [
        ("captions", f"{found.captions:,}"),
        ("different captions", f"{found.distinct:,}"),
        ("captions of several sentences", f"{found.longer:,}"),
        ("captions that mention no concept", f"{found.without_concepts:,}"),
        ("captions left out", f"{found.left_out.count:,}"),
        ("pictures", f"{found.pictures:,}"),
        ("surely alone, more than 1 % exceptions each", f"{int(found.surely.sum()):,}"),
        ("atoms of several concepts", f"{len(found.atoms):,}"),
        ("pairs never apart", f"{found.never_count:,}"),
        ("pairs apart in at most 10 % of captions", f"{found.nearly_count:,}"),
    ]
    several = found.per_picture
    if several is not None:
        share = several.separated / max(1, several.pairs)
        facts += [
            ("pictures with several captions", f"{several.several:,}"),
            ("pairs of a picture's concepts that its captions separate", f"{share:.1%}"),
        ]
    return facts


def _parts(found: Findings, advice: Advice, compared: Compared | None, folder: Path) -> list[Part]:
    graph = accompaniment_figure(found)
    parts = [
        Part(
            title="Entangled pairs",
            text="k comes with j. The bound is the exact upper bound (95 %) on the rate of "
            "captions with k and without j, for a pair looked at alone, and for all pairs at once. "
            "PMI is in bits. Sentences apart are those that mention k and not j.",
            pictures=[]
            if graph is None
            else [
                _picture(
                    graph,
                    folder / "graph.png",
                    f"The most said pairs that are never apart, at most {DRAWN} concepts.",
                )
            ],
            tables=[
                (f"Never apart: {found.never_count:,} pairs", _ties(found.never)),
                (f"Apart in at most 10 %: {found.nearly_count:,} pairs", _ties(found.nearly)),
            ],
        )
    ]
    if found.atoms:
        atoms = pd.DataFrame(
            {"never apart from one another": [shown(", ".join(a), 300) for a in found.atoms]}
        )
        parts.append(
            Part(
                title="Atoms",
                text="Concepts that are only ever mentioned together are one concept to a model.",
                tables=[(f"{len(found.atoms):,} atoms", atoms)],
                words=True,
            )
        )
    if found.samplers:
        parts.append(
            Part(
                title="Samplers",
                text="The same captions cut in each way that a sampler may cut them. Often: for "
                "every other concept, at least 10 % of the texts are without it. Within a caption: "
                "pairs of its concepts that this caption alone shows apart.",
                pictures=[
                    _picture(
                        sampler_figure([found]),
                        folder / "samplers.png",
                        "How much of what a caption mentions each sampler shows apart.",
                    )
                ],
                tables=[("Concepts identified alone under each sampler", _samplers(found))],
            )
        )
    parts += [
        Part(
            title="Advice",
            text="After these sentences and captions the concepts are identified alone.",
            lines=advice.lines(),
        ),
        Part(
            title="Size",
            text="The same concepts in a part of the pictures.",
            pictures=[
                _picture(
                    size_figure(compared[:2] if compared else [found]),
                    folder / "size.png",
                    "Concepts mentioned, and identified alone, against the number of captions.",
                )
            ],
        ),
    ]
    if compared is not None:
        parts.append(_comparison(*compared))
    parts.append(
        Part(
            title="Concepts",
            text="Least apart: captions with the concept and without its closest companion. Denied "
            "and hedged: captions that mention it only behind no, without, possibly and the like.",
            tables=[(f"{len(found.concepts):,} concepts", _concepts(found))],
        )
    )
    return parts


def _picture(figure: Figure, path: Path, text: str) -> Picture:
    return Picture(path=save(figure, path), text=text)


def _ties(ties: Sequence[Tie]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "concept": shown(tie.counts.concept),
                "comes with": shown(tie.counts.other),
                "captions": f"{tie.counts.mentions:,}",
                "without it": f"{tie.counts.exceptions:,}",
                "bound": f"{tie.high:.2%}",
                "of all pairs": f"{tie.counts.high:.2%}",
                "PMI": f"{tie.pmi:.1f}",
                "sentences apart": f"{tie.sentences:,}",
            }
            for tie in ties
        ]
    )


def _samplers(found: Findings) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "sampler": one.name,
                "keeps": one.about,
                "alone": f"{one.alone:,}",
                "often": f"{one.often:,}",
                "pairs tied": f"{one.tied:,}",
                "apart within a caption": f"{one.within:.1%}",
                "texts": f"{one.texts:,}",
            }
            for one in found.samplers
        ]
    )


def _concepts(found: Findings) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "concept": [shown(name) for name in found.concepts],
            "identified": ["alone" if one else "with others" for one in found.alone],
            "captions": found.mentions,
            "least apart": found.least_apart,
            "denied": found.denied,
            "hedged": found.hedged,
        }
    )


def _comparison(first: Findings, second: Findings, compared: Comparison) -> Part:
    def words(names: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame({"concept": [shown(name) for name in names]})

    cuts = pd.DataFrame(
        [
            {
                "concept": shown(cut.concept),
                "comes with": shown(cut.other),
                "captions of the second": f"{cut.mentions:,}",
                "without it": f"{cut.exceptions:,}",
            }
            for cut in compared.cuts
        ]
    )
    return Part(
        title="Compared",
        text=f"The first corpus is {shown(first.source)}, the second {shown(second.source)}: "
        f"{len(compared.alone_in_both):,} concepts are identified alone in both.",
        tables=[
            ("Never apart in the first: what the second says", cuts),
            (
                f"Alone in the first only: {len(compared.alone_in_first):,}",
                words(compared.alone_in_first),
            ),
            (
                f"Alone in the second only: {len(compared.alone_in_second):,}",
                words(compared.alone_in_second),
            ),
            (
                f"Mentioned in both, alone in neither: {len(compared.bound_in_both):,}",
                words(compared.bound_in_both),
            ),
        ],
    )
