"""zhat = warp(M z) with M known: encoders that tell which blocks they identify, to audit metrics.

For the coordinates B^ with rows M_B^ (derived here, exact by linear algebra):

    complete  iff every unit vector of the dimensions of B lies in the row space of M_B^
    pure      iff M_B^ is zero outside the dimensions of B and no coordinate is noise

The warp acts inside the coordinates of one concept and is invertible, so it changes neither.
"""

# pyright: basic

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from theory.captions import CaptionFamily
from theory.concepts import Concept
from theory.recovery.coordinates import Coordinates


@dataclass(frozen=True, kw_only=True)
class KnownEncoder:
    """An encoder with its masks and the truth about every block.

    Attributes:
        name: what is wrong with it, if anything.
        family: the captions.
        mixing: M [D, d].
        masks: what each caption opens, [n captions, D].
        noisy: coordinates that are standard normal noise, [D].
        warped: bend each coordinate, and shear the coordinates of one concept along each other.
    """

    name: str
    family: CaptionFamily
    mixing: Float[Tensor, "D d"]
    masks: Bool[np.ndarray, "captions D"]
    noisy: Bool[Tensor, " D"]
    warped: bool = False

    def encode(self, z: Float[Tensor, "n d"], *, seed: int) -> Float[Tensor, "n D"]:
        """zhat; the seed draws the noise of noisy coordinates only."""
        code = z.to(torch.float64) @ self.mixing.T.to(z.device)
        if self.warped:
            start = 0
            for size in self.family.sizes:
                for column in range(start + 1, start + size):
                    code[:, column] += torch.sin(1.5 * code[:, column - 1])
                start += size
            code = torch.asinh(2 * code) + 0.2 * code
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(code.shape, generator=generator, dtype=code.dtype).to(z.device)
        return torch.where(self.noisy.to(z.device), noise, code)

    def identifies(self, block: Iterable[Concept], coordinates: tuple[int, ...]) -> bool:
        """Is zhat on these coordinates an invertible function of z on the block?"""
        inside = self.family.space.columns(block)
        rows = self.mixing[list(coordinates)]
        outside = [column for column in range(self.mixing.shape[1]) if column not in set(inside)]
        if bool(self.noisy[list(coordinates)].any()) or bool((rows[:, outside] != 0).any()):
            return False
        return len(coordinates) > 0 and int(torch.linalg.matrix_rank(rows)) == len(inside)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """An encoder under construction: the oracle, before it is spoiled."""

    family: CaptionFamily
    generator: torch.Generator

    @property
    def dimension(self) -> int:
        return self.family.dimension

    def eye(self) -> Tensor:
        return torch.eye(self.dimension, dtype=torch.float64)

    def finish(
        self,
        name: str,
        mixing: Tensor,
        masks: np.ndarray | None = None,
        noisy: Iterable[int] = (),
        *,
        warped: bool = False,
    ) -> KnownEncoder:
        flags = torch.zeros(len(mixing), dtype=torch.bool)
        flags[list(noisy)] = True
        return KnownEncoder(
            name=name,
            family=self.family,
            mixing=mixing,
            masks=self.family.dimension_masks.copy() if masks is None else masks,
            noisy=flags,
            warped=warped,
        )

    def pick(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.generator))

    def concept(self) -> Concept:
        names = [name for name in self.family.concepts if name in self.family.mentioned]
        return names[self.pick(len(names))]

    def rotation(self, size: int) -> Tensor:
        normal = torch.randn(size, size, generator=self.generator, dtype=torch.float64)
        return torch.linalg.qr(normal).Q


def _oracle(draft: _Draft) -> KnownEncoder:
    return draft.finish("oracle", draft.eye())


def _permuted(draft: _Draft) -> KnownEncoder:
    order = torch.randperm(draft.dimension, generator=draft.generator)
    return draft.finish("permuted", draft.eye()[order], draft.family.dimension_masks[:, order])


def _rotated(draft: _Draft) -> KnownEncoder:
    mixing = draft.eye()
    for concept in draft.family.concepts:
        columns = draft.family.space.columns({concept})
        turn = draft.rotation(len(columns))
        for row, values in zip(columns, turn, strict=True):
            mixing[row, columns] = values
    return draft.finish("rotated inside a concept", mixing)


def _warped(draft: _Draft) -> KnownEncoder:
    return draft.finish("warped", draft.eye(), warped=True)


def _sharp(draft: _Draft) -> KnownEncoder:
    """Every coordinate of k also reads what accompanies k: nothing beyond the promise holds."""
    mixing = draft.eye()
    closures = draft.family.ring.closures
    space = draft.family.space
    for concept, closure in closures.items():
        below = [j for j in closure if concept not in closures[j]]
        for row in space.columns({concept}):
            for column in space.columns(below):
                mixing[row, column] = 0.8 / len(below) ** 0.5
    for atom in draft.family.atoms():
        columns = space.columns(atom)
        mixing[columns] = draft.rotation(len(columns)) @ mixing[columns]
    return draft.finish("entangled within the promise", mixing)


def _entangled(draft: _Draft, strength: float = 1.0) -> KnownEncoder:
    """The coordinates of one concept also read one that it may not depend on, if there is one."""
    space, closures = draft.family.space, draft.family.ring.closures
    pairs = [
        (concept, other)
        for concept in draft.family.concepts
        if concept in closures
        for other in draft.family.concepts
        if other not in closures[concept]
    ]
    mixing = draft.eye()
    if pairs:
        concept, other = pairs[draft.pick(len(pairs))]
        source = space.columns({other})
        for index, row in enumerate(space.columns({concept})):
            mixing[row, source[index % len(source)]] = strength
    return draft.finish("entangled", mixing)


def _mistaken(draft: _Draft) -> KnownEncoder:
    """The coordinates of one concept carry another one, if it has two."""
    space = draft.family.space
    concept = draft.concept()
    others = [name for name in draft.family.concepts if name != concept]
    mixing = draft.eye()
    if others:
        source = space.columns({others[draft.pick(len(others))]})
        for index, row in enumerate(space.columns({concept})):
            mixing[row] = draft.eye()[source[index % len(source)]]
    return draft.finish("one concept mistaken for another", mixing)


def _missing(draft: _Draft) -> KnownEncoder:
    rows = draft.family.space.columns({draft.concept()})
    return draft.finish("one concept is noise", draft.eye(), noisy=rows)


def _dropped(draft: _Draft) -> KnownEncoder:
    """One dimension is left out: fewer coordinates than dimensions."""
    rows = draft.family.space.columns({draft.concept()})
    lost = rows[draft.pick(len(rows))]
    kept = [row for row in range(draft.dimension) if row != lost]
    if not kept:
        return draft.finish("undercomplete", torch.zeros(1, 1, dtype=torch.float64))
    return draft.finish("undercomplete", draft.eye()[kept], draft.family.dimension_masks[:, kept])


def _duplicated(draft: _Draft) -> KnownEncoder:
    """Two copies of one dimension share its captions between them: each intersection is empty."""
    masks = draft.family.dimension_masks
    copied = next(
        (column for column in range(draft.dimension) if masks[:, column].sum() > 1),
        draft.pick(draft.dimension),
    )
    holders = np.flatnonzero(masks[:, copied])
    first, second = masks.copy(), masks[:, [copied]].copy()
    if len(holders) > 1:
        first[holders[0], copied] = False
        second[:, 0] = False
        second[holders[0], 0] = True
    mixing = torch.cat([draft.eye(), draft.eye()[[copied]]])
    return draft.finish("two copies, captions divided", mixing, np.hstack([first, second]))


def _overcomplete(draft: _Draft) -> KnownEncoder:
    """A second copy of every dimension under the same masks: redundant, complete and pure."""
    masks = draft.family.dimension_masks
    return draft.finish(
        "overcomplete", torch.cat([draft.eye(), -draft.eye()]), np.hstack([masks, masks])
    )


def _noise(draft: _Draft) -> KnownEncoder:
    return draft.finish("pure noise", draft.eye(), noisy=range(draft.dimension))


def _collapsed(draft: _Draft) -> KnownEncoder:
    return draft.finish("collapsed to a constant", torch.zeros_like(draft.eye()))


def _one_direction(draft: _Draft) -> KnownEncoder:
    return draft.finish("collapsed to one direction", torch.ones_like(draft.eye()))


_MAKERS: tuple[Callable[[_Draft], KnownEncoder], ...] = (
    _oracle,
    _permuted,
    _rotated,
    _warped,
    _sharp,
    _entangled,
    _mistaken,
    _missing,
    _dropped,
    _duplicated,
    _overcomplete,
    _noise,
    _collapsed,
    _one_direction,
)


def known_encoders(family: CaptionFamily, *, seed: int) -> list[KnownEncoder]:
    """One encoder of each kind for this family: five faithful ones first, then the spoiled ones.

    Args:
        family: the captions; it decides which blocks an encoder may entangle.
        seed: draws rotations, permutations and the concept to spoil.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> [encoder.name for encoder in known_encoders(family, seed=0)][:2]
    ['oracle', 'permuted']
    """
    generator = torch.Generator().manual_seed(seed)
    return [make(_Draft(family=family, generator=generator)) for make in _MAKERS]


def leaking_encoder(family: CaptionFamily, *, strength: float, seed: int) -> KnownEncoder:
    """zhat = z, but the coordinates of one concept k read z_k + strength z_j, j not in cl(k).

    Args:
        family: the captions; without such a pair of concepts nothing leaks.
        strength: b, in units of the latents.
        seed: draws the pair.
    """
    generator = torch.Generator().manual_seed(seed)
    return _entangled(_Draft(family=family, generator=generator), strength)


def coordinates_of(encoder: KnownEncoder) -> Coordinates:
    """The coordinates that the masks of the encoder give to blocks."""
    return Coordinates(family=encoder.family, masks=encoder.masks)
