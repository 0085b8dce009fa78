"""What a word adds to a mask, where the answer is known."""

import numpy as np
import pytest

from smartclip.evaluate.words import word_effects
from theory.errors import InputError

NAMES = ("red", "blue", "small", "large", "star")


def captions(count, seed=0):
    """A colour, a size, and a star every other time, by chance."""
    draw = np.random.default_rng(seed)
    said = np.zeros((count, 5), dtype=bool)
    said[np.arange(count), draw.integers(0, 2, count)] = True
    said[np.arange(count), 2 + draw.integers(0, 2, count)] = draw.random(count) < 0.5
    said[:, 4] = draw.random(count) < 0.5
    return said


def test_exact_masks_are_taken_apart_although_words_come_in_company():
    said = captions(300)
    mask = np.stack([said[:, :2].any(1), said[:, 2:4].any(1), said[:, 4]], axis=1).astype(float)
    found = word_effects(NAMES, said, mask)
    expected = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(found.effect, expected, atol=1e-9)
    assert found.explained == pytest.approx(1)


def test_it_is_the_least_squares_solution():
    said, mask = captions(200), np.random.default_rng(1).integers(0, 2, (200, 7)).astype(float)
    found = word_effects(NAMES, said, mask)
    left = mask - said @ found.effect
    np.testing.assert_allclose(said.T @ left, 0, atol=1e-9)
    assert found.explained < 0.5


def test_masks_that_never_change_have_nothing_to_explain():
    assert np.isnan(word_effects(NAMES, captions(100), np.ones((100, 3))).explained)


def test_words_that_are_never_told_apart_are_refused():
    said = captions(100)
    said[:, 1] = said[:, 0]
    with pytest.raises(InputError, match="tell 4 of 5 words apart"):
        word_effects(NAMES, said, np.ones((100, 3)))
