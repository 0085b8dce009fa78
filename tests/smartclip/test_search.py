"""The exact k best, as sorting everything finds them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smartclip.evaluate.search import GROUP, best
from theory.errors import InputError


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 9 * GROUP),
    st.integers(1, 12),
    st.tuples(st.integers(1, 5), st.integers(1, 5 * GROUP)),
    st.booleans(),
)
def test_as_sorting_does(
    seed: int, queries: int, gallery: int, k: int, rows: tuple[int, int], tied: bool
) -> None:
    k = min(k, gallery)
    generator = torch.Generator().manual_seed(seed)
    asked = torch.randn(queries, 4, generator=generator).double()
    held = torch.randn(gallery, 4, generator=generator).double()
    if tied:
        asked, held = asked.round(), held.round()
    found = best(asked, held, k, rows=rows)
    scores = asked @ held.T
    expected = scores.sort(1, descending=True)
    torch.testing.assert_close(found.scores, expected.values[:, :k])
    # Rows are what their scores say, and none comes twice, whatever is tied.
    torch.testing.assert_close(scores.gather(1, found.rows), found.scores)
    assert all(len(set(row)) == k for row in found.rows.tolist())
    if not tied:
        assert torch.equal(found.rows, expected.indices[:, :k])


def test_as_faiss_does() -> None:
    faiss = pytest.importorskip("faiss")
    generator = torch.Generator().manual_seed(0)
    asked = torch.nn.functional.normalize(torch.randn(20, 32, generator=generator), dim=1)
    held = torch.nn.functional.normalize(torch.randn(5000, 32, generator=generator), dim=1)
    index = faiss.IndexFlatIP(32)
    index.add(held.numpy())
    scores, rows = index.search(asked.numpy(), 10)
    found = best(asked, held, 10, rows=(8, 1000))
    torch.testing.assert_close(found.scores, torch.from_numpy(scores), atol=1e-6, rtol=0)
    assert (found.rows == torch.from_numpy(rows)).float().mean() > 0.99


@pytest.mark.parametrize("k", [0, 4])
def test_more_than_there_are(k: int) -> None:
    with pytest.raises(InputError, match=f"the {k} best"):
        best(torch.ones(1, 2), torch.ones(3, 2), k)


def test_nan_cannot_be_ordered() -> None:
    with pytest.raises(InputError, match="not finite"):
        best(torch.full((1, 2), torch.nan), torch.ones(3, 2), 1)
