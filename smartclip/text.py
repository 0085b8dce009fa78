"""Captions to tokens: `text -> [B, L]`, the byte-pair pieces of CLIP (Radford et al., ICML 2021).

`CLIPTokenizer` has CLIP's own 49,408 ids, for pretrained towers. `Tokenizer` numbers only the
pieces of a corpus: short captions use a few hundred, and a small model wants a small embedding
table. Nothing is cut off unless the caller asks for it, and `CaptionReader` counts what is.
"""

import functools
import itertools
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError
from theory.storage import write_atomically

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
        _check_context(self.context)
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
        return _lengths(captions)

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
        rows = _fitting(captions, self.context, truncate=truncate)
        known = self._table[np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64)]
        return _packed(known, [len(row) for row in rows], self.context, start=START, end=self.end)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class CLIPTokenizer:
    """`[49406, pieces of the caption, 49407, 0, 0 ...]`: the ids of every released CLIP.

    Attributes:
        context: L, tokens in a row, start and end included.

    >>> CLIPTokenizer(context=6).tokenise(["a bear"]).tolist()
    [[49406, 320, 4298, 49407, 0, 0]]
    """

    context: int = 77

    size = 49_408
    start = 49_406
    end = 49_407

    def __post_init__(self) -> None:
        _check_context(self.context)

    def lengths(self, captions: Sequence[str]) -> Int[np.ndarray, " b"]:
        """Tokens of each caption, start and end included, before anything is cut off."""
        return _lengths(captions)

    def too_long(self, captions: Sequence[str]) -> list[int]:
        """Indices of the captions that do not fit the context."""
        return np.flatnonzero(self.lengths(captions) > self.context).tolist()

    def tokenise(self, captions: Sequence[str], *, truncate: bool = False) -> Int[Tensor, "b l"]:
        """As `Tokenizer.tokenise`: int64 [B, L] on the CPU; what is too long is an error unless
        `truncate` is set."""
        rows = _fitting(captions, self.context, truncate=truncate)
        known = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64)
        lengths = [len(row) for row in rows]
        return _packed(known, lengths, self.context, start=self.start, end=self.end)


@runtime_checkable
class AnyTokenizer(Protocol):
    """What both tokenizers offer."""

    @property
    def context(self) -> int:
        """L, tokens in a row."""
        ...

    def lengths(self, captions: Sequence[str]) -> Int[np.ndarray, " b"]:
        """Tokens of each caption before anything is cut off."""
        ...

    def tokenise(self, captions: Sequence[str], *, truncate: bool = False) -> Int[Tensor, "b l"]:
        """Token ids, padded to the context."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionLengths:
    """How long the captions of a data set are.

    Attributes:
        context: L that they have to fit.
        captions: how many were measured.
        of: how many there are.
        cut: of those measured, how many lose their end.
        median: tokens, start and end included.
        longest: tokens of the longest.
    """

    context: int
    captions: int
    of: int
    cut: int
    median: float
    longest: int

    @property
    def share(self) -> float:
        """Share of captions that lose their end, 0 to 1."""
        return self.cut / self.captions if self.captions else 0.0

    def __str__(self) -> str:
        sample = "" if self.captions == self.of else f", looking at {self.captions:,}"
        return (
            f"{self.share:.1%} of {self.of:,} captions are longer than {self.context} tokens and "
            f"lose their end (median {self.median:.0f}, longest {self.longest}{sample})"
        )


def caption_lengths(
    captions: list[str], tokenizer: AnyTokenizer, *, most: int = 20_000
) -> CaptionLengths:
    """Measure captions, or `most` of them at equal distances if there are more.

    >>> str(caption_lengths(["a bear", "a bear with a pen"], CLIPTokenizer(context=5)))
    '50.0% of 2 captions are longer than 5 tokens and lose their end (median 6, longest 7)'
    """
    places = np.linspace(0, len(captions) - 1, min(most, len(captions))).round().astype(int)
    lengths = tokenizer.lengths([captions[place] for place in places])
    return CaptionLengths(
        context=tokenizer.context,
        captions=len(lengths),
        of=len(captions),
        cut=int((lengths > tokenizer.context).sum()),
        median=float(np.median(lengths)) if len(lengths) else 0.0,
        longest=int(lengths.max(initial=0)),
    )


class CaptionReader:
    """Captions to tokens for training: cuts what is too long, and counts it. Threads may share it.

    >>> read = CaptionReader(CLIPTokenizer(context=5))
    >>> read(["a bear", "a bear with a pen"]).shape, read.captions, read.cut, read.share
    (torch.Size([2, 5]), 2, 1, 0.5)
    """

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        self.tokenizer = tokenizer
        self.captions = self.cut = 0
        self._lock = threading.Lock()

    def __call__(self, captions: Sequence[str]) -> Int[Tensor, "b l"]:
        cut = int((self.tokenizer.lengths(captions) > self.tokenizer.context).sum())
        with self._lock:
            self.captions += len(captions)
            self.cut += cut
        return self.tokenizer.tokenise(captions, truncate=True)

    @property
    def share(self) -> float:
        """Share of the captions so far that lost their end, 0 to 1."""
        return self.cut / self.captions if self.captions else 0.0


def moved(tokens: Int[Tensor, "b l"], share: Float[Tensor, " b"] | float) -> Int[Tensor, "b l"]:
    """Captions behind padding, which stands between the start and the pieces.

    Args:
        tokens: of both kinds of tokenizers, whose end has the largest id.
        share: of the free places of each row that go in front, 0 to 1.

    >>> moved(torch.tensor([[8, 3, 4, 9, 0, 0]]), 1.0).tolist()
    [[8, 0, 0, 3, 4, 9]]
    >>> moved(torch.tensor([[8, 3, 4, 9, 0, 0]]), 0.5).tolist()
    [[8, 0, 3, 4, 9, 0]]
    """
    length = tokens.shape[1]
    free = length - 1 - tokens.argmax(1)
    by = (free * share).round().long()
    at = torch.arange(length) - by[:, None]
    found = tokens.gather(1, at.clamp(min=0))
    found[at <= 0] = PADDING
    found[:, 0] = tokens[:, 0]
    return found


def _check_context(context: int) -> None:
    if context < 2:
        raise InputError(
            f"a context of {context} tokens",
            rule="start and end take two",
            fix="choose a longer one",
        )


def _lengths(captions: Sequence[str]) -> Int[np.ndarray, " b"]:
    return np.array([len(_encode(caption)) + 2 for caption in captions], dtype=np.int64)


def _fitting(captions: Sequence[str], context: int, *, truncate: bool) -> list[tuple[int, ...]]:
    """The pieces of each caption, cut to the context if that is asked for."""
    if isinstance(captions, str):
        raise InputError(
            f"the single string {captions!r}",
            rule="captions come as a list",
            fix="write [caption]",
        )
    rows = [_encode(caption) for caption in captions]
    room = context - 2
    if not truncate and any(len(row) > room for row in rows):
        first = next(index for index, row in enumerate(rows) if len(row) > room)
        count = sum(len(row) > room for row in rows)
        raise InputError(
            f"{count} of {len(rows)} captions too long, the first being number {first} "
            f"with {len(rows[first]) + 2} tokens",
            rule=f"the context is {context} and captions are not cut unasked",
            fix="fit a longer context, or pass truncate=True",
        )
    return [row[:room] for row in rows]


def _packed(
    pieces: Int[np.ndarray, " n"], lengths: list[int], context: int, *, start: int, end: int
) -> Int[Tensor, "b l"]:
    """Rows of `[start, pieces, end, padding]` from the pieces of all of them, one after another."""
    count = np.array(lengths, dtype=np.int64)
    tokens = np.full((len(count), context), PADDING, dtype=np.int64)
    tokens[:, 0] = start
    tokens[:, 1:][np.arange(context - 1) < count[:, None]] = pieces
    tokens[np.arange(len(count)), count + 1] = end
    return torch.from_numpy(tokens)


@functools.cache
def _bpe() -> Any:
    load_open_clip()
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def clip_pieces() -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    """CLIP's vocabulary (piece -> id) and its merges, best first.

    >>> vocabulary, merges = clip_pieces()
    >>> len(vocabulary), vocabulary["bear</w>"], merges[0]
    (49408, 4298, ('i', 'n'))
    """
    bpe = _bpe()
    return dict(bpe.encoder), tuple(sorted(bpe.bpe_ranks, key=bpe.bpe_ranks.__getitem__))


@functools.lru_cache(maxsize=1 << 16)
def _encode(caption: str) -> tuple[int, ...]:
    """CLIP's piece ids of one caption; the same captions come back every epoch.

    A caption that contains `<start_of_text>` or `<end_of_text>` says these words: as the tokens of
    that name they would end the caption, and what follows would not be read.
    """
    pieces = _bpe().encode(caption)
    spoken = _spoken()
    if spoken.keys().isdisjoint(pieces):
        return tuple(pieces)
    told = (spoken.get(piece, (piece,)) for piece in pieces)
    return tuple(itertools.chain.from_iterable(told))


@functools.cache
def _spoken() -> dict[int, tuple[int, ...]]:
    """The pieces that spell each token which stands for no text."""
    bpe = _bpe()
    return {
        bpe.encoder[name]: tuple(bpe.encode(name.replace("<", "< ")))
        for name in ("<start_of_text>", "<end_of_text>")
    }
