"""One page a person enjoys looking at: the verdict first, then the pictures, then the numbers.

A report is a single HTML file with its pictures inside, so it can be mailed or kept.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from theory.storage import write_atomically


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A PNG file and what to see in it."""

    path: Path
    text: str

    @property
    def data(self) -> str:
        """The PNG itself, as text that HTML can hold."""
        return base64.b64encode(self.path.read_bytes()).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One step of the story.

    Attributes:
        title: what was done.
        verdict: what came out, in one or two sentences.
        good: whether that is what was promised; None where nothing was.
        steps: the story in short paragraphs.
        pictures: what to look at.
        tables: numbers, each with a title.
        folder: where everything is kept.
    """

    title: str
    verdict: str
    good: bool | None = None
    steps: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[tuple[str, pd.DataFrame]] = ()
    folder: Path


def write_report(path: Path, title: str, sections: Sequence[Section]) -> Path:
    """Write the page, whole or not at all."""
    environment = Environment(loader=PackageLoader("experiments", "templates"), autoescape=True)
    environment.filters["table"] = html_table
    page = environment.get_template("report.html.j2").render(title=title, sections=sections)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def html_table(frame: pd.DataFrame) -> Markup:
    """A table as HTML; every cell is escaped."""
    shown = frame.to_html(index=False, border=0, float_format="{:.3f}".format, na_rep="")
    return Markup(shown)  # noqa: S704  (pandas escapes every cell)
