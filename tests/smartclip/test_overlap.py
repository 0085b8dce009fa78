import numpy as np
import pytest

from smartclip.evaluate.overlap import overlap
from theory.errors import InputError

BLOCKS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 1, 1]], dtype=bool)


def captions(copies=4):
    return np.repeat(BLOCKS, copies, axis=0)


def test_masks_that_are_blocks_overlap_as_their_concepts_do():
    mentioned = captions()
    found = overlap(np.repeat(mentioned, 5, axis=1), mentioned)
    assert np.allclose(found.masks, found.concepts)
    assert found.correlation == pytest.approx(1)
    assert found.p_value < 0.1
    assert found.captions.tolist() == [4] * 5
    one, two = (np.flatnonzero((found.kinds == row).all(1))[0] for row in BLOCKS[[1, 4]])
    assert found.concepts[one, two] == pytest.approx(2 / 3)


def test_the_mean_is_over_pairs_of_captions_and_leaves_a_caption_out_of_its_own():
    mentioned = captions(copies=2)
    masks = np.zeros((10, 4), dtype=bool)
    masks[0, [0, 1]] = masks[1, [0, 2]] = True  # two captions of one kind: 1 of 3
    masks[2, [0, 1]] = masks[3, [0, 1]] = True
    found = overlap(masks, mentioned)
    one, two, empty = (np.flatnonzero((found.kinds == row).all(1))[0] for row in BLOCKS[:3])
    assert found.masks[one, one] == pytest.approx(1 / 3)
    assert found.masks[two, two] == 1
    assert found.masks[one, two] == pytest.approx((1 + 1 / 3) / 2)
    assert np.isnan(found.masks[empty, empty])
    assert found.masks[one, empty] == 0


def test_random_masks_are_rarely_significant():
    rng = np.random.default_rng(0)
    every = np.array([[n >> bit & 1 for bit in range(4)] for n in range(1, 16)], dtype=bool)
    mentioned = np.repeat(every, 3, axis=0)
    p = [
        overlap(
            np.repeat(rng.random((15, 20)) < 0.5, 3, axis=0), mentioned, permutations=39, seed=trial
        ).p_value
        for trial in range(60)
    ]
    # A tenth of them, standard deviation 2.3; four of them above.
    assert sum(value <= 0.1 for value in p) <= 15
    assert 0.3 < np.mean(p) < 0.7


def test_equal_masks_have_no_correlation():
    mentioned = captions()
    found = overlap(np.ones((20, 6), dtype=bool), mentioned)
    assert (found.masks == 1).all()
    assert np.isnan(found.correlation)
    assert np.isnan(found.p_value)


@pytest.mark.parametrize("rows", [3, 8])
def test_captions_that_cannot_be_compared_are_refused(rows):
    with pytest.raises(InputError, match="kinds"):
        overlap(np.ones((rows, 4), dtype=bool), BLOCKS[:2].repeat(4, axis=0))
