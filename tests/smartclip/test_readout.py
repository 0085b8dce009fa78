import numpy as np
import pytest

from smartclip.evaluate.readout import own_coordinates, readout
from theory import CaptionFamily

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"], ["a", "c"]])
MASKS = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1]], dtype=bool)


def sample(n, seed):
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 4, size=(n, 3))
    noise = generator.normal(size=(n, 4)) * 0.05
    return np.c_[values, np.zeros(n)] + noise, values


def test_own_coordinates_are_those_open_whenever_the_concept_is_named():
    own = {k: v.tolist() for k, v in own_coordinates(FAMILY, MASKS).items()}
    assert own == {"a": [0], "b": [1], "c": [2]}


def test_identified_concepts_read_themselves_and_nothing_else():
    (code, values), (test_code, test_values) = sample(800, 0), sample(400, 1)
    found = readout(code, values, test_code, test_values, family=FAMILY, masks=MASKS)
    assert found.chance.tolist() == [0.25] * 3
    assert (found.accuracy.diagonal() > 0.95).all()
    off = found.accuracy[~np.eye(3, dtype=bool)]
    # Balanced accuracy of 400 guesses among four: standard error about 0.022.
    assert (np.abs(off - 0.25) < 0.09).all()
    assert (found.whole > 0.95).all()


def test_values_that_are_missing_are_left_out():
    (code, values), (test_code, test_values) = sample(800, 0), sample(400, 1)
    test_values[:390, 0] = -1
    values[:, 1] = np.where(values[:, 1] == 3, -1, values[:, 1])
    found = readout(code, values, test_code, test_values, family=FAMILY, masks=MASKS)
    assert found.accuracy[0, 0] > 0.9
    assert found.chance[1] == pytest.approx(1 / 3)


def test_a_concept_without_coordinates_is_not_a_number():
    closed = np.zeros_like(MASKS)
    (code, values), (test_code, test_values) = sample(100, 0), sample(100, 1)
    found = readout(code, values, test_code, test_values, family=FAMILY, masks=closed)
    assert np.isnan(found.accuracy).all()
    assert found.coordinates == (0, 0, 0)
