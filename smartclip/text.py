"""Captions to tokens: `text -> [B, L]`, open_clip's byte-pair pieces with a compact vocabulary.

The pieces are those of CLIP (Radford et al., ICML 2021). A corpus of short captions uses a few
hundred of its 49,408 pieces; numbering only those gives a small model a small embedding table.
Nothing is cut off unless the caller asks for it.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from simulators.storage import write_atomically
from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError

PADDING = 0
START = 1
UNSEEN = 2
_FIRST_PIECE = 3
_FORMAT = "smartclip tokenizer 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenizer:
    """`[start, pieces of the caption, end, padding ...]`, one row of L ids per caption.

    Ids: 0 padding, 1 start, 2 a piece that the corpus did not have, then the pieces of the corpus,
    and last the end, which has the largest id: `TextTower` reads z_T there.

    Attributes:
        pieces: ids of the corpus's pieces in CLIP's vocabulary, ascending.
        context: L, tokens in a row, start and end included.

    >>> tokenizer = Tokenizer.fit(["a bear", "a bear with a pen"])
    >>> tokenizer.context, tokenizer.size
    (7, 8)
    >>> tokenizer.tokenise(["a pen"]).tolist()
    [[1, 3, 6, 7, 0, 0, 0]]
    """

    pieces: tuple[int, ...]
    context: int
    _table: Int[np.ndarray, " bpe"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bpe = _bpe().vocab_size
        ascending = all(low < high for low, high in itertools.pairwise(self.pieces))
        if not (ascending and all(0 <= piece < bpe for piece in self.pieces)):
            raise InputError(
                f"a vocabulary of {len(self.pieces)} pieces",
                rule=f"its ids ascend and lie in CLIP's vocabulary of {bpe}",
                fix="make it with Tokenizer.fit(captions)",
            )
        if self.context < 2:
            raise InputError(
                f"a context of {self.context} tokens",
                rule="start and end take two",
                fix="choose a longer context, or none to fit the corpus",
            )
        table = np.full(bpe, UNSEEN, dtype=np.int64)
        table[list(self.pieces)] = np.arange(_FIRST_PIECE, _FIRST_PIECE + len(self.pieces))
        object.__setattr__(self, "_table", table)

    @classmethod
    def fit(cls, captions: Iterable[str], context: int | None = None) -> "Tokenizer":
        """Number the pieces of a corpus; without a `context`, the longest caption sets it."""
        rows = [_encode(caption) for caption in dict.fromkeys(captions)]
        if not rows:
            raise InputError(
                "a corpus without captions",
                rule="the vocabulary is that of the corpus",
                fix="give the training captions",
            )
        longest = max(map(len, rows)) + 2
        pieces = tuple(sorted(set(itertools.chain.from_iterable(rows))))
        return cls(pieces=pieces, context=longest if context is None else context)

    @property
    def size(self) -> int:
        """V, the number of ids: the rows of the embedding table."""
        return _FIRST_PIECE + len(self.pieces) + 1

    @property
    def end(self) -> int:
        """The id of the end of a caption, the largest there is."""
        return self.size - 1

    def lengths(self, captions: Sequence[str]) -> Int[np.ndarray, " b"]:
        """Tokens of each caption, start and end included, before anything is cut off."""
        return np.array([len(_encode(caption)) + 2 for caption in captions], dtype=np.int64)

    def too_long(self, captions: Sequence[str]) -> list[int]:
        """Indices of the captions that do not fit the context."""
        return np.flatnonzero(self.lengths(captions) > self.context).tolist()

    def tokenise(self, captions: Sequence[str], *, truncate: bool = False) -> Int[Tensor, "b l"]:
        """Token ids of each caption, padded to the context.

        Args:
            captions: B of them.
            truncate: keep the first `context - 2` pieces of a caption that is too long. Without
                it such a caption is an error; `too_long` tells which would lose their end.

        Returns:
            int64 [B, L] on the CPU.

        Raises:
            InputError: a caption is too long and `truncate` is not set.
        """
        if isinstance(captions, str):
            raise InputError(
                f"the single string {captions!r}",
                rule="captions come as a list",
                fix="write [caption]",
            )
        rows = [_encode(caption) for caption in captions]
        room = self.context - 2
        if not truncate and any(len(row) > room for row in rows):
            first = next(index for index, row in enumerate(rows) if len(row) > room)
            count = sum(len(row) > room for row in rows)
            raise InputError(
                f"{count} of {len(rows)} captions too long, the first being number {first} "
                f"with {len(rows[first]) + 2} tokens",
                rule=f"the context is {self.context} and captions are not cut unasked",
                fix="fit a longer context, or pass truncate=True",
            )
        lengths = np.array([min(len(row), room) for row in rows], dtype=np.int64)
        tokens = np.full((len(rows), self.context), PADDING, dtype=np.int64)
        tokens[:, 0] = START
        filled = np.arange(self.context - 1) < lengths[:, None]
        kept = itertools.chain.from_iterable(row[:room] for row in rows)
        tokens[:, 1:][filled] = self._table[np.fromiter(kept, dtype=np.int64, count=lengths.sum())]
        tokens[np.arange(len(rows)), lengths + 1] = self.end
        return torch.from_numpy(tokens)

    def unseen(self, captions: Sequence[str]) -> float:
        """Share of the captions' pieces that the vocabulary does not have, from 0 to 1."""
        pieces = list(itertools.chain.from_iterable(map(_encode, captions)))
        return float(np.mean(self._table[pieces] == UNSEEN)) if pieces else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` gives the tokenizer back."""
        return {"format": _FORMAT, "context": self.context, "pieces": list(self.pieces)}

    @classmethod
    def from_dict(cls, saved: Any) -> "Tokenizer":
        match saved:
            case {"format": str(known), "context": int(context), "pieces": [*pieces]} if (
                known == _FORMAT and all(type(piece) is int for piece in pieces)
            ):
                return cls(pieces=tuple(pieces), context=context)
        raise InputError(
            "a record that is not a tokenizer",
            rule=f'it holds "format": "{_FORMAT}", "context" and "pieces"',
            fix="save one with Tokenizer.save",
        )

    def save(self, path: str | Path) -> None:
        """Write JSON, whole or not at all."""
        with write_atomically(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        try:
            saved = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} could not be read ({error})",
                rule="a tokenizer is a JSON file",
                fix="save one with Tokenizer.save",
            ) from error
        return cls.from_dict(saved)


@functools.cache
def _bpe() -> Any:
    load_open_clip()
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


@functools.lru_cache(maxsize=1 << 18)
def _encode(caption: str) -> tuple[int, ...]:
    """CLIP's piece ids of one caption; the same captions come back every epoch."""
    return tuple(_bpe().encode(caption))
