"""pi_(s,e): the order of epoch e under seed s, a permutation of n rows, computed and not stored.

A Feistel network of six rounds permutes 0, ..., 4^k - 1 >= n; a value of n or more is sent through
again until it is below n (cycle walking), which leaves a permutation of 0, ..., n - 1. So any
process finds any part of any epoch without drawing the rest, and no list of n numbers is kept.
Sources: Luby and Rackoff, SIAM J. Comput. 1988; Black and Rogaway, "Ciphers with arbitrary finite
domains", CT-RSA 2002; the mixing function is that of SplitMix64 (Steele et al., OOPSLA 2014).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from theory.errors import InputError

_ROUNDS = 6
_WINDOW, _BLOCKS, _SHIFT = 1, 2, 3  # what a key is for


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Random orders of n rows, one for each epoch.

    With `block` above 1 the rows are not shuffled one by one: blocks of neighbours are, and then
    the rows of each `window` blocks among themselves. Reading then stays within some stretches of
    the files at a time, as slow disks and Parquet like it, for a shuffle that is still thorough.

    Attributes:
        count: n.
        seed: of the run.
        block: neighbours that stay close to each other; 1 for a shuffle of all rows.
        window: blocks that are mixed with each other.

    >>> order = Order(count=5, seed=0)
    >>> sorted(order.rows(0, np.arange(5)).tolist())
    [0, 1, 2, 3, 4]
    """

    count: int
    seed: int
    block: int = 1
    window: int = 64

    def __post_init__(self) -> None:
        if self.count < 1 or self.seed < 0 or self.block < 1 or self.window < 1:
            raise InputError(
                f"count={self.count}, seed={self.seed}, block={self.block}, window={self.window}",
                rule="an order is of at least 1 row, under a seed of 0 or more, in blocks of 1 on",
                fix="give larger numbers",
            )

    def rows(self, epoch: int, positions: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, " k"]:
        """The rows at some positions of an epoch, each from 0 to n - 1."""
        at = positions.astype(np.uint64)
        if self.block == 1 or self.count <= self.block:
            return _permuted(at, self.count, _key(self.seed, epoch, _WINDOW)).astype(np.int64)
        blocks = self.count // self.block
        windows = max(1, blocks // self.window)
        length = self.window * self.block
        window = np.minimum(at // np.uint64(length), np.uint64(windows - 1))
        first = window * np.uint64(length)
        last = window == windows - 1  # which takes what is left over
        inside = np.empty_like(at)
        for part, size in ((~last, length), (last, self.count - (windows - 1) * length)):
            key = _mixed(_key(self.seed, epoch, _WINDOW) ^ _mixed(window[part]))
            inside[part] = _permuted(at[part] - first[part], size, key)
        row = first + inside
        whole = row < blocks * self.block
        block, rest = np.divmod(row[whole], np.uint64(self.block))
        key = _key(self.seed, epoch, _BLOCKS)
        row[whole] = _permuted(block, blocks, key) * np.uint64(self.block) + rest
        shift = _key(self.seed, epoch, _SHIFT) % np.uint64(self.count)
        return ((row + shift) % np.uint64(self.count)).astype(np.int64)


def _permuted(
    values: UInt64[np.ndarray, " k"], count: int, key: UInt64[np.ndarray, "#k"]
) -> UInt64[np.ndarray, " k"]:
    """Values below `count` to values below `count`, one to one for each key."""
    half = max(1, -(-(count - 1).bit_length() // 2))
    values, key = values.copy(), np.broadcast_to(key, values.shape)
    walking = np.ones(len(values), dtype=bool)
    while walking.any():
        values[walking] = _feistel(values[walking], half, key[walking])
        walking &= values >= count
    return values


def _feistel(
    values: UInt64[np.ndarray, " k"], half: int, key: UInt64[np.ndarray, " k"]
) -> UInt64[np.ndarray, " k"]:
    """One to one on the numbers of 2 x `half` bits."""
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for turn in range(_ROUNDS):
        scrambled = _mixed(key + _mixed(right + np.uint64(turn << 32)))
        left, right = right, left ^ (scrambled & mask)
    return (left << bits) | right


def _mixed(values: UInt64[np.ndarray, "*k"]) -> UInt64[np.ndarray, "*k"]:
    """SplitMix64's step from its counter to its output."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _key(seed: int, epoch: int, purpose: int) -> UInt64[np.ndarray, "1"]:
    return np.random.SeedSequence([seed, epoch, purpose]).generate_state(1, np.uint64)
