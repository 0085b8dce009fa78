"""The pictures of a prediction show what the family says."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from experiments.figures.lattice import dependency_figure, hasse_figure, prediction_figure
from theory import CaptionFamily, predict

FAMILY = CaptionFamily.from_captions([["a", "b", "c"], ["a", "b"], ["a", "d"]])


def test_the_hasse_figure_has_a_box_for_each_atom_and_a_line_for_each_edge():
    figure = hasse_figure(FAMILY)
    axes = figure.axes[0]
    boxes = {text.get_text() for text in axes.texts}
    assert boxes == {"a", "b", "c", "d"}
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert len(lines) == FAMILY.hasse().number_of_edges() == 3
    height = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert height["a"] < height["b"] < height["c"]
    plt.close(figure)


def test_the_dependency_figure_shows_the_matrix():
    prediction = predict(FAMILY)
    figure = dependency_figure(prediction)
    shown = figure.axes[0].images[0].get_array()
    assert np.array_equal(np.asarray(shown), prediction.dependency)
    plt.close(figure)


def test_settings_come_back_and_large_families_draw():
    before = dict(mpl.rcParams)
    large = CaptionFamily.from_captions([{k, (k + 1) % 80} for k in range(80)])
    figure = prediction_figure(predict(large))
    assert not figure.axes[0].texts
    assert dict(mpl.rcParams) == before
    plt.close(figure)
