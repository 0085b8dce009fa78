import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from smartclip.evaluate.retrieval import read, retrieval, retrieval_by_rows
from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError


def brute_force(scores: Tensor, relevant: Tensor, k: int) -> list[float]:
    """For each row, the share of all orders that agree with the scores and put a right one in k."""
    answers = []
    for row, right in zip(scores.tolist(), relevant.tolist(), strict=True):
        if not any(right):
            continue
        orders = [
            order
            for order in itertools.permutations(range(len(row)))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        ]
        answers.append(np.mean([any(right[place] for place in order[:k]) for order in orders]))
    return answers


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_ties_and_several_right_answers_as_by_all_orders(data: st.DataObject) -> None:
    images, captions = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    size = images * captions
    scores = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    relevant = data.draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(any))
    s = torch.tensor(scores, dtype=torch.float32).reshape(images, captions)
    r = torch.tensor(relevant).reshape(images, captions)
    result = retrieval(s, r, ks=(1, 2, 7))
    for recall, a, b in (
        (result.image_to_caption, s, r),
        (result.caption_to_image, s.T, r.T),
    ):
        for column, k in enumerate(recall.ks):
            np.testing.assert_allclose(recall.hits[:, column], brute_force(a, b, k), atol=1e-9)
            expected = np.mean(brute_force(torch.zeros_like(a), b, k))
            np.testing.assert_allclose(recall.chance[column], expected, atol=1e-9)
        assert recall.unanswerable == int((~b.any(1)).sum())
        assert len(recall.queries) + recall.unanswerable == len(a)


def test_same_as_torchmetrics_without_ties() -> None:
    load_open_clip()  # which makes torchvision, that torchmetrics imports, importable everywhere
    from torchmetrics.functional.retrieval import retrieval_hit_rate

    generator = torch.Generator().manual_seed(5)
    scores = torch.rand(40, 60, generator=generator)
    relevant = torch.rand(40, 60, generator=generator) < 0.05
    result = retrieval(scores, relevant)
    for recall, s, r in (
        (result.image_to_caption, scores, relevant),
        (result.caption_to_image, scores.T, relevant.T),
    ):
        for column, k in enumerate(recall.ks):
            theirs = [
                float(retrieval_hit_rate(s[query], r[query], top_k=k)) for query in recall.queries
            ]
            np.testing.assert_array_equal(recall.hits[:, column], theirs)


def test_a_collapsed_model_scores_chance() -> None:
    relevant = torch.eye(50, dtype=torch.bool)
    result = retrieval(torch.full((50, 50), 0.7), relevant)
    for recall in (result.caption_to_image, result.image_to_caption):
        np.testing.assert_allclose(recall.hits.mean(0), recall.chance)
        np.testing.assert_allclose(recall.chance, [0.02, 0.1, 0.2])


def test_chance_is_what_random_scores_get() -> None:
    generator = torch.Generator().manual_seed(0)
    relevant = torch.rand(2000, 30, generator=generator) < 0.1
    relevant[:, 0] = True
    recall = retrieval(torch.rand(2000, 30, generator=generator), relevant).image_to_caption
    # Four standard errors of a mean of 2000 hits.
    np.testing.assert_allclose(recall.hits.mean(0), recall.chance, atol=4 * 0.5 / 2000**0.5)


def test_masked_reading_is_the_cosine_under_each_captions_mask() -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(9, 6, generator=generator, dtype=torch.float64)
    text = torch.randn(7, 6, generator=generator, dtype=torch.float64)
    mask = (torch.rand(7, 6, generator=generator) < 0.6).double()
    mask[0] = 1
    expected = torch.empty(9, 7, dtype=torch.float64)
    plain = torch.empty(9, 7, dtype=torch.float64)
    for i in range(9):
        for j in range(7):
            expected[i, j] = torch.cosine_similarity(image[i] * mask[j], text[j], dim=0)
            plain[i, j] = torch.cosine_similarity(image[i], text[j], dim=0)
    for rows in (2, 4096):
        torch.testing.assert_close(read(image, text, mask, rows=rows), expected)
        torch.testing.assert_close(read(image, text, mask.bool(), rows=rows), expected)
        torch.testing.assert_close(read(image, text, rows=rows), plain)


def test_an_empty_mask_does_not_make_nan() -> None:
    scores = read(torch.randn(3, 4), torch.randn(2, 4), torch.zeros(2, 4))
    assert torch.equal(scores, torch.zeros(3, 2))


def test_masked_reading_finds_what_the_unmasked_one_cannot() -> None:
    """Each caption speaks of one coordinate in eight; the others are noise to it."""
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(200, 8, generator=generator, dtype=torch.float64)
    mask = torch.nn.functional.one_hot(torch.arange(200) % 8, 8).double()
    right = torch.eye(200, dtype=torch.bool)
    masked = retrieval(read(image, image * mask, mask, similarity="distance"), right)
    unmasked = retrieval(read(image, image * mask, similarity="distance"), right)
    assert masked.caption_to_image.at(1) == 1.0
    assert unmasked.caption_to_image.at(1) < 0.3


def test_results_are_plain_data() -> None:
    result = retrieval(torch.eye(3), torch.eye(3, dtype=torch.bool))
    assert result.to_dict()["caption_to_image"]["recall"] == {"1": 1.0, "5": 1.0, "10": 1.0}
    assert list(result.table()["R@1"]) == [100.0, 100.0]
    assert "caption to image" in result._repr_html_()


@pytest.mark.parametrize(
    ("scores", "relevant", "ks", "told"),
    [
        (torch.zeros(2, 3), torch.ones(3, 3, dtype=torch.bool), (1,), r"\(2, 3\)"),
        (torch.full((2, 2), torch.nan), torch.eye(2, dtype=torch.bool), (1,), "4 scores are NaN"),
        (torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bool), (1,), "no right pair"),
        (torch.zeros(2, 2), torch.eye(2, dtype=torch.bool), (0, 1), "ks"),
    ],
)
def test_wrong_inputs_are_refused(scores, relevant, ks, told: str) -> None:
    with pytest.raises(InputError, match=told):
        retrieval(scores, relevant, ks=ks)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 40), st.booleans())
def test_by_rows_is_the_whole_matrix_ties_included(seed: int, at_a_time: int, masked: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(-1, 2, (7, 3), generator=generator).double()
    text = torch.randint(-1, 2, (11, 3), generator=generator).double()
    mask = torch.randint(0, 2, (11, 3), generator=generator).double() if masked else None
    owner = torch.randint(0, 7, (11,), generator=generator)  # some images have no caption
    whole = retrieval(read(image, text, mask), torch.arange(7)[:, None] == owner)
    parts = retrieval_by_rows(image, text, mask, owner, scores_at_a_time=at_a_time)
    for one, other in (
        (whole.caption_to_image, parts.caption_to_image),
        (whole.image_to_caption, parts.image_to_caption),
    ):
        np.testing.assert_allclose(one.hits, other.hits, atol=1e-12)
        np.testing.assert_allclose(one.ranks, other.ranks)
        np.testing.assert_allclose(one.chance, other.chance)
        np.testing.assert_array_equal(one.queries, other.queries)
        assert one.unanswerable == other.unanswerable


def test_ranks_are_expected_over_the_order_of_ties() -> None:
    # Better: one. Tied at the top of the right ones: two wrong, two right.
    scores = torch.tensor([[0.9, 0.5, 0.5, 0.5, 0.5, 0.1]])
    relevant = torch.tensor([[False, True, False, True, False, True]])
    (rank,) = retrieval(scores, relevant, ks=(1,)).image_to_caption.ranks
    orders = itertools.permutations([True, True, False, False])
    places = [order.index(True) + 1 for order in orders]
    assert rank == pytest.approx(1 + np.mean(places))
    perfect = retrieval(torch.eye(4), torch.eye(4, dtype=torch.bool), ks=(1,))
    assert perfect.caption_to_image.median_rank == 1
