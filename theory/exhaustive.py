"""z^ = A z: search every mask assignment for the linear codes that satisfy C3 (and C4, C5).

An independent oracle at small sizes: it knows neither closures nor lattices, only what the
conditions say of a linear code on a product support. Coordinate i may be open in the captions P_i.
Alignment (C3): the code of a caption is a function of what it mentions, so row i of A vanishes
outside the concepts that all captions in P_i mention. Losslessness (C3): the open rows of a caption
have full column rank on its block. Sparsest (C4): as many open rows as dimensions. Budget (C5): as
many coordinates as mentioned dimensions. A block is identified when, in every solution, the rows
that vanish outside it have full rank on it. Derived here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float

from theory.errors import InputError

LARGEST = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearCode:
    """One solution: z^ = A z with the coordinates that each caption opens.

    Attributes:
        matrix: A [D, d].
        masks: which coordinates each caption opens [n, D].

    >>> code = next(solutions([{0}, {0, 1}], [1, 1]))
    >>> code.identifies([0]), code.identifies([1])
    (True, False)
    """

    matrix: Float[np.ndarray, "D d"]
    masks: Bool[np.ndarray, "n D"]

    def identifies(self, columns: Sequence[int]) -> bool:
        """Some coordinates hold exactly these latent columns: complete and pure."""
        outside = np.ones(self.matrix.shape[1], dtype=bool)
        outside[list(columns)] = False
        pure = ~np.any(self.matrix[:, outside] != 0, axis=1) & self.masks.any(axis=0)
        # Ranks are dear: most blocks have too few pure coordinates to begin with.
        return bool(pure.sum() >= len(columns)) and (
            _rank(self.matrix[pure][:, ~outside]) == len(columns)
        )


def solutions(
    captions: Sequence[Iterable[int]],
    sizes: Sequence[int],
    *,
    spare: int = 0,
    sparsest: bool = True,
    sparse_codes: int = 0,
    seed: int = 0,
) -> Iterator[LinearCode]:
    """Every mask assignment, up to the order of coordinates, that some linear code satisfies.

    For each assignment one code with generic entries; the conditions are open, so they hold for
    almost all codes on the same support or for none.

    Args:
        captions: sets of concept numbers 0..K-1.
        sizes: d_k of each concept.
        spare: coordinates beyond the mentioned dimensions, which C5 forbids; they may stay unused.
        sparsest: demand C4, |m^| = d(B) for every caption.
        sparse_codes: further codes with random zeros for each assignment, which generic ones miss.
        seed: of the entries.

    Raises:
        InputError: an empty caption, an unknown concept, or too large a search.

    Source: derived here.

    >>> [code.masks.astype(int).tolist() for code in solutions([{0, 1}, {0, 2}], [1, 1, 1])]
    [[[1, 1, 0], [1, 0, 1]]]
    """
    blocks = [frozenset(caption) for caption in captions]
    for index, block in enumerate(blocks):
        if not block or not block <= set(range(len(sizes))):
            raise InputError(
                f"caption {index + 1} is {sorted(block)}",
                rule=f"captions are non-empty sets of the concepts 0 to {len(sizes) - 1}",
                fix="number the concepts from 0",
            )
    starts = np.cumsum([0, *sizes])
    columns = [range(starts[k], starts[k + 1]) for k in range(len(sizes))]
    dimension = int(starts[-1])
    block_columns = [[c for k in sorted(block) for c in columns[k]] for block in blocks]
    mentioned = sum(sizes[k] for k in {concept for block in blocks for concept in block})
    total = mentioned + spare
    if total > LARGEST:
        raise InputError(
            f"{total} coordinates",
            rule=f"the search is exhaustive, at most {LARGEST} coordinates",
            fix="use fewer concepts or smaller sizes",
        )
    patterns: list[tuple[tuple[int, ...], list[int]]] = []
    for length in range(1, len(blocks) + 1):
        for opened in combinations(range(len(blocks)), length):
            common = set(block_columns[opened[0]]).intersection(
                *(block_columns[c] for c in opened[1:])
            )
            # A coordinate with nothing to hold is constant; leaving it closed is the same code.
            if common:
                patterns.append((opened, sorted(common)))
    patterns.sort(key=lambda pattern: -len(pattern[0]))
    needed = [len(block) for block in block_columns]
    generator = np.random.default_rng(seed)

    for chosen in _choices(patterns, needed, total, exact_total=spare == 0, sparsest=sparsest):
        masks = np.zeros((len(blocks), len(chosen)), dtype=bool)
        support = np.zeros((len(chosen), dimension), dtype=bool)
        for coordinate, pattern in enumerate(chosen):
            opened, common = patterns[pattern]
            masks[list(opened), coordinate] = True
            support[coordinate, common] = True
        for trial in range(1 + sparse_codes):
            matrix = np.where(support, generator.normal(size=support.shape), 0.0)
            if trial:
                matrix *= generator.random(support.shape) < 0.6
            if all(
                _rank(matrix[mask][:, block]) == len(block)
                for mask, block in zip(masks, block_columns, strict=True)
            ):
                yield LinearCode(matrix=matrix, masks=masks)
            elif not trial:
                break


def identified_blocks(
    captions: Sequence[Iterable[int]],
    sizes: Sequence[int],
    *,
    spare: int = 0,
    sparsest: bool = True,
    sparse_codes: int = 0,
    seed: int = 0,
) -> set[frozenset[int]]:
    """The non-empty blocks of mentioned concepts that every solution identifies.

    Arguments as for `solutions`.

    Source: derived here.

    >>> sorted(map(sorted, identified_blocks([{0, 1}, {0, 2}], [1, 1, 1])))
    [[0], [0, 1], [0, 1, 2], [0, 2]]
    """
    starts = np.cumsum([0, *sizes])
    mentioned = sorted({concept for caption in captions for concept in caption})
    remaining = {
        frozenset(block)
        for size in range(1, len(mentioned) + 1)
        for block in combinations(mentioned, size)
    }
    for code in solutions(
        captions, sizes, spare=spare, sparsest=sparsest, sparse_codes=sparse_codes, seed=seed
    ):
        remaining = {
            block
            for block in remaining
            if code.identifies([c for k in block for c in range(starts[k], starts[k + 1])])
        }
    return remaining


def _choices(
    patterns: list[tuple[tuple[int, ...], list[int]]],
    needed: list[int],
    total: int,
    *,
    exact_total: bool,
    sparsest: bool,
) -> Iterator[list[int]]:
    """Multisets of at most `total` patterns that open enough coordinates in every caption."""
    opens = [opened for opened, _ in patterns]
    later = [frozenset[int]().union(*opens[index:]) for index in range(len(opens) + 1)]
    longest = [max(map(len, opens[index:]), default=0) for index in range(len(opens) + 1)]
    stack: list[tuple[int, list[int], list[int]]] = [(0, [], needed)]
    while stack:
        index, chosen, missing = stack.pop()
        left = total - len(chosen)
        short = [caption for caption, count in enumerate(missing) if count > 0]
        if (
            any(missing[caption] > left or caption not in later[index] for caption in short)
            or sum(missing[caption] for caption in short) > left * longest[index]
        ):
            continue
        if index == len(opens) or left == 0:
            if not short and not (exact_total and left):
                yield chosen
            continue
        opened = opens[index]
        most = min(left, *(missing[caption] for caption in opened)) if sparsest else left
        for times in range(most + 1):
            fewer = list(missing)
            for caption in opened:
                fewer[caption] -= times
            stack.append((index + 1, chosen + [index] * times, fewer))


def _rank(matrix: Float[np.ndarray, "rows columns"]) -> int:
    return 0 if 0 in matrix.shape else int(np.linalg.matrix_rank(matrix))
