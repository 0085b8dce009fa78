from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from experiments.figures.captions import (
    DRAWN,
    accompaniment_figure,
    sampler_figure,
    size_figure,
)
from smartclip.audit.findings import Findings
from smartclip.audit.run import Concepts, audit_captions


def audited(folder: Path, text: str) -> Findings:
    path = folder / "captions.txt"
    path.write_text(text)
    return audit_captions([path], Concepts(least=1))[0]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def words(figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_the_graph_names_who_comes_with_whom(tmp_path: Path) -> None:
    found = audited(tmp_path, "dog, leash\ndog\ncat\n")
    figure = accompaniment_figure(found)
    assert figure is not None
    assert words(figure) == {"dog", "leash"}
    assert accompaniment_figure(audited(tmp_path, "dog\ncat\n")) is None


def test_the_graph_stays_readable(tmp_path: Path) -> None:
    names = [f"w{chr(97 + k)}x" for k in range(26)]
    found = audited(tmp_path, "dog\n" + "".join(f"dog, {name}\n" for name in names))
    figure = accompaniment_figure(found)
    assert figure is not None
    assert len(words(figure)) == DRAWN


def test_the_curve_and_the_bars_show_the_numbers(tmp_path: Path) -> None:
    found = audited(tmp_path, "A dog. A cat.\n" * 3 + "A fox.\n")
    (axes,) = size_figure([found]).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["identified alone"] == [size.alone for size in found.curve]
    (axes,) = sampler_figure([found, found]).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [100 * one.within for one in found.samplers] * 2
    assert max(widths) == 100
