"""The report: one HTML file that stands alone, and that no name can break."""

from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from experiments.figures.style import save
from experiments.report import Picture, Section, write_report
from theory import InputError

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Tags that open and close in order, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.plot([0, 1])
    return save(figure, tmp_path_factory.mktemp("figures") / "picture.png")


def section(picture: Path, **changed) -> Section:
    given = {
        "title": "A run",
        "verdict": "As predicted: 3 of 3.",
        "good": True,
        "steps": ["first", "second"],
        "pictures": [Picture(path=picture, text="what to see")],
        "tables": [("Every block", pd.DataFrame({"block": ["a, b"], "completeness": [0.5]}))],
        "folder": Path("runs") / "one",
    }
    return Section(**(given | changed))


def test_the_page_is_well_formed_and_holds_the_story(picture: Path, tmp_path: Path):
    path = write_report(tmp_path / "report.html", "Title", [section(picture)])
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    text = " ".join(" ".join(page.text).split())
    for part in ("Title", "A run", "As predicted: 3 of 3.", "first", "second", "what to see"):
        assert part in text
    assert "0.500" in text
    assert page.tags.count("img") == 1
    assert ("class", "verdict good") in page.attributes


@pytest.mark.parametrize(("good", "kind"), [(True, "good"), (False, "bad"), (None, "")])
def test_the_verdict_has_its_colour(good: bool | None, kind: str, picture: Path, tmp_path: Path):
    path = write_report(tmp_path / "report.html", "Title", [section(picture, good=good)])
    classes = [value for name, value in Page(path.read_text()).attributes if name == "class"]
    assert f"verdict {kind}" in classes


def test_names_are_text_and_never_markup(picture: Path, tmp_path: Path):
    name = "<b>bear</b> & \"pen\" <script>alert('x')</script>"
    changed = section(
        picture,
        title=name,
        verdict=name,
        steps=[name],
        pictures=[Picture(path=picture, text=name)],
        tables=[(name, pd.DataFrame({name: [name]}))],
        folder=Path(name.replace("/", "-")),
    )
    source = write_report(tmp_path / "report.html", name, [changed]).read_text(encoding="utf-8")
    page = Page(source)
    assert "script" not in page.tags
    assert source.count("<b>") == 2  # of the story line, not of the names
    assert page.open == []
    assert " ".join(page.text).count(name) >= 6
    assert ("alt", name) in page.attributes


def test_nothing_is_fetched(picture: Path, tmp_path: Path):
    source = write_report(tmp_path / "report.html", "T", [section(picture)]).read_text()
    asked = [value for name, value in Page(source).attributes if name in ("src", "href")]
    assert len(asked) == 1
    assert asked[0].startswith("data:image/png;base64,iVBOR")
    assert "//" not in source.replace(asked[0], "")


def test_a_section_may_be_bare(picture: Path, tmp_path: Path):
    bare = section(picture, steps=(), pictures=(), tables=())
    page = Page(write_report(tmp_path / "report.html", "T", [bare, bare]).read_text())
    assert page.open == []
    assert page.tags.count("section") == 2
    assert not {"img", "table", "ol"} & set(page.tags)


def test_a_report_that_cannot_be_written_is_told(picture: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"):
        write_report(tmp_path / "file" / "report.html", "T", [section(picture)])
