"""Which blocks are identified, under which conditions, and by which statement.

After SmartCLIP, CVPR 2025, Theorem 4.3 (captions, unions, intersections), and derived here: under
C2, C3 and C5 exactly the blocks A with cl(k) in A for every k in A; without C5 the unions of
captions; without C2 or C3 none. C3 makes C1 redundant, and with C5 also C4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from jaxtyping import Int8

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept, intersection, union
from theory.conditions.condition import CONDITIONS, Cost
from theory.errors import InputError
from theory.lattice import Location
from theory.symbols import InPaperAs

# The command line offers the names of all conditions that are registered.
if TYPE_CHECKING:
    ConditionName = str
else:
    ConditionName = Literal[tuple(CONDITIONS)]

Complete = Literal["no", "locally", "globally"]
PURE: tuple[str, ...] = ("C2", "C3")
COUNTED: tuple[str, ...] = ("C2", "C3", "C5")


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """z^ on B^ = h(z_B): what the theory says about one block.

    Attributes:
        block: B.
        complete: whether nothing of z_B is lost: h has an inverse ("globally"); two nearby values
            of z_B are told apart, though distant ones may not be ("locally"); or neither ("no").
        pure: nothing but z_B gets in.
        statement: the number of the statement that says so; empty if none does.
        conditions: what that statement assumes.
        location: where the block lies in the ring; the witness of a refusal.

    >>> family = CaptionFamily.from_captions([["n", "a"], ["n", "b"]], sizes={"n": 2})
    >>> promise = predict(family).promise(["n"])
    >>> promise.complete, promise.conditions
    ('locally', ('C2', 'C3', 'C5'))
    """

    block: Annotated[Block, InPaperAs("B")]
    complete: Complete
    pure: bool
    statement: str
    conditions: tuple[str, ...]
    location: Location

    @property
    def identified(self) -> bool:
        """Pure, and complete at least locally."""
        return self.complete != "no" and self.pure

    @property
    def invertible(self) -> str:
        """Where h has an inverse: globally, locally, or "not promised"."""
        return self.complete if self.identified else "not promised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """cl(k) = intersection of the captions with k: why k is alone, or with whom it goes.

    Attributes:
        concept: k.
        captions: T_k, the numbers of the captions that mention k.
        closure: cl(k); empty if no caption mentions k.
        companions: cl(k) without k.
        separators: for each concept that does not accompany k, the number of a caption that
            mentions k and not that concept: the reason why it stays out.

    >>> predict(CaptionFamily.from_captions([["a", "b"], ["a"]])).explain("b").companions
    frozenset({'a'})
    """

    concept: Annotated[Concept, InPaperAs("k")]
    captions: Annotated[tuple[int, ...], InPaperAs("T_k")]
    closure: Annotated[Block, InPaperAs(r"\operatorname{cl}(k)")]
    companions: Block
    separators: dict[Concept, int]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a caption family promises, for every block, before any training.

    Attributes:
        family: the captions.
        dropped: the conditions not assumed.

    >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
    >>> prediction = predict(family)
    >>> prediction.alone, prediction.entangled["pen"]
    (('bear',), frozenset({'bear'}))
    """

    family: Annotated[CaptionFamily, InPaperAs(r"\mathcal C")]
    dropped: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions assumed."""
        return tuple(name for name in CONDITIONS if name not in self.dropped)

    def _costs(self, what: Cost) -> bool:
        return any(what in CONDITIONS[name].costs for name in self.dropped)

    @property
    def _purity(self) -> bool:
        return not self._costs("purity")

    @property
    def _budget(self) -> bool:
        return not self._costs("counts")

    @cached_property
    def alone(self) -> tuple[Concept, ...]:
        """The concepts k with {k} identified, in the order of the concepts."""
        if not self._purity:
            return ()
        closures = self.family.ring.closures
        captions = set(self.family.captions)
        return tuple(
            concept
            for concept, closure in closures.items()
            if len(closure) == 1 and (self._budget or closure in captions)
        )

    @cached_property
    def entangled(self) -> dict[Concept, Block]:
        """The mentioned concepts that may mix with others: k to cl(k) without k.

        Without C2 or C3 no concept can be kept out of another's coordinates.
        """
        if not self._purity:
            everything = frozenset(self.family.concepts)
            return {concept: everything - {concept} for concept in self.family.ring.closures}
        return {
            concept: closure - {concept}
            for concept, closure in self.family.ring.closures.items()
            if len(closure) > 1
        }

    @cached_property
    def incomplete(self) -> tuple[Concept, ...]:
        """Without C5: the concepts whose coordinates are pure but may lack a part (3.6)."""
        if not self._purity or self._budget:
            return ()
        captions = set(self.family.captions)
        return tuple(
            concept
            for concept, closure in self.family.ring.closures.items()
            if len(closure) == 1 and closure not in captions
        )

    @cached_property
    def unmentioned(self) -> tuple[Concept, ...]:
        """The concepts that no caption mentions: they enter no used coordinate."""
        closures = self.family.ring.closures
        return tuple(concept for concept in self.family.concepts if concept not in closures)

    @cached_property
    def dependency(self) -> Int8[np.ndarray, "K K"]:
        """Entry (k, j) is 1 iff the coordinates of k may depend on z_j: row k marks cl(k).

        The coordinates of k are those open in exactly the captions that mention k. Zeros are
        promised, ones are only allowed. The row of a concept never mentioned is zero. Read-only.
        """
        count = len(self.family.concepts)
        allowed = np.zeros((count, count), dtype=np.int8)
        position = {name: index for index, name in enumerate(self.family.concepts)}
        for concept, closure in self.family.ring.closures.items():
            if self._purity:
                allowed[position[concept], [position[other] for other in closure]] = 1
            else:
                allowed[position[concept]] = 1
        allowed.flags.writeable = False
        return allowed

    def promise(self, block: Iterable[Concept] | Concept) -> Promise:
        """What is promised for one block, and the statement it rests on.

        Args:
            block: names of mentioned concepts, at least one; or one name.

        Raises:
            InputError: an unknown or unmentioned name, or an empty block.

        >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
        >>> promise = predict(family).promise(["bear"])
        >>> promise.identified, promise.statement, promise.complete
        (True, '3.3', 'globally')
        >>> predict(family).promise("pen").location.reasons
        {'pen': frozenset({'bear'})}
        """
        location = self.family.locate(self._block(block))
        wanted = location.block
        if not wanted:
            raise InputError(
                "the block is empty", rule="a block holds a concept", fix="name a concept"
            )
        # C3 alone says that a caption's open coordinates determine what it mentions.
        inside = [caption for caption in self.family.captions if caption <= wanted]
        covered = union(inside)
        is_union = covered == wanted and not self._costs("completeness")

        def answer(
            complete: Complete, pure: bool, statement: str, conditions: tuple[str, ...]
        ) -> Promise:
            return Promise(
                block=wanted,
                complete=complete,
                pure=pure,
                statement=statement,
                conditions=conditions,
                location=location,
            )

        if not self._purity:
            return answer("globally" if is_union else "no", False, "", ())
        if not location.identified:
            return answer("no", False, "3.5", COUNTED)
        if is_union:
            return answer("globally", True, "3.1" if wanted in inside else "3.2", PURE)
        if not self._budget:
            return answer("no", True, "3.3", PURE)
        statement = "3.3" if self._is_intersection(wanted) else "3.4"
        return answer(self._inverse(wanted, covered), True, statement, COUNTED)

    def _block(self, given: Iterable[Concept] | Concept) -> Iterable[Concept]:
        """One name stands for the block of that concept."""
        try:
            named = isinstance(given, str) or given in self.family.concepts
        except (TypeError, ValueError):
            named = False
        return cast("Iterable[Concept]", [given] if named else given)

    def _inverse(self, block: Block, covered: Block) -> Complete:
        """3.9: globally if every atom of the block that no caption inside it covers is a line."""
        lines = all(
            atom <= covered or self.family.space.size(atom) == 1
            for atom in self.family.atoms()
            if atom <= block
        )
        return "globally" if lines else "locally"

    def _is_intersection(self, block: Block) -> bool:
        above = [caption for caption in self.family.captions if block <= caption]
        return bool(above) and intersection(above) == block

    def identified(self, limit: int = 1_000_000) -> Iterator[Block]:
        """The blocks promised under the conditions assumed, smallest first; lazy."""
        if not self._purity:
            return
        for block in self.family.identified(limit):
            if self._budget or self.promise(block).identified:
                yield block

    def lost(self, limit: int = 1_000_000) -> Iterator[Block]:
        """The blocks of the ring that the dropped conditions cost, smallest first; lazy."""
        for block in self.family.identified(limit):
            if not self.promise(block).identified:
                yield block

    def explain(self, concept: Concept) -> Explanation:
        """Which captions mention the concept, and what each of them leaves out.

        Raises:
            InputError: the concept is unknown.

        >>> family = CaptionFamily.from_captions([["bear", "pen"], ["bear", "chair"]])
        >>> why = predict(family).explain("bear")
        >>> why.captions, why.separators
        ((0, 1), {'pen': 1, 'chair': 0})
        """
        self.family.space.position(concept)
        captions = self.family.captions
        numbers = tuple(i for i, caption in enumerate(captions) if concept in caption)
        closure = intersection(captions[i] for i in numbers)
        separators = {
            other: next(i for i in numbers if other not in captions[i])
            for other in self.family.concepts
            if numbers and other not in closure
        }
        return Explanation(
            concept=concept,
            captions=numbers,
            closure=closure,
            companions=closure - {concept},
            separators=separators,
        )

    def to_dict(self, limit: int = 256) -> dict[str, Any]:
        """Plain JSON types: names become text, no two alike, and blocks become lists.

        Args:
            limit: the most identified blocks to list; beyond, `identified` and `lost` are None.

        Beyond 1,000 concepts `dependency` is None too: `closures` says the same in less space.
        """
        order, label = self.family.space.ordered, self.family.space.label

        def names(block: Iterable[Concept]) -> list[str]:
            return [label(name) for name in order(block)]

        ring = self.family.ring
        blocks: list[Block] | None = []
        for block in ring.identified(limit=max(limit + 1, 1)):
            blocks.append(block)
            if len(blocks) > limit:
                blocks = None
                break
        promises = None if blocks is None else [self.promise(block) for block in blocks]
        return {
            "concepts": list(self.family.space.labels),
            "sizes": list(self.family.sizes),
            "captions": [names(caption) for caption in self.family.captions],
            "weights": list(self.family.weights),
            "conditions": list(self.conditions),
            "dropped": list(self.dropped),
            "alone": names(self.alone),
            "entangled": {label(k): names(others) for k, others in self.entangled.items()},
            "incomplete": names(self.incomplete),
            "unmentioned": names(self.unmentioned),
            "closures": {label(k): names(closure) for k, closure in ring.closures.items()},
            "atoms": [names(atom) for atom in ring.atoms()],
            "dependency": self.dependency.tolist() if len(self.family.concepts) <= 1000 else None,
            "identified": None
            if promises is None
            else [
                {
                    "block": names(promise.block),
                    "statement": promise.statement,
                    "complete": promise.complete,
                    "invertible": promise.invertible,
                    "conditions": list(promise.conditions),
                }
                for promise in promises
                if promise.identified
            ],
            "lost": None
            if promises is None
            else [names(promise.block) for promise in promises if not promise.identified],
        }

    def latex(self, limit: int = 12) -> str:
        """Statement 3.4 with the numbers of this family filled in.

        Args:
            limit: the most closures to write out.

        >>> print(predict([["bear", "pen"], ["bear"]]).latex())
        \\begin{aligned}
        &|\\mathcal C| = 2,\\quad K = 2,\\quad d = 2,\\quad d(U) = 2 \\\\
        &\\text{under C2, C3, C5: } \\hat z_{\\hat A} = h_A(z_A) \\iff \
\\operatorname{cl}(k) \\subseteq A\\ \\forall k \\in A \\\\
        &\\operatorname{cl}(\\text{bear}) = \\{\\text{bear}\\} \\\\
        &\\operatorname{cl}(\\text{pen}) = \\{\\text{bear}, \\text{pen}\\}
        \\end{aligned}
        """
        family = self.family

        def name(concept: Concept) -> str:
            return rf"\text{{{_escaped(str(concept))}}}"

        lines = [
            rf"|\mathcal C| = {len(family.captions)},\quad K = {len(family.concepts)},"
            rf"\quad d = {family.dimension},\quad d(U) = {family.space.size(family.mentioned)}"
        ]
        assumed = ", ".join(self.conditions)
        if not self._purity:
            lines.append(rf"\text{{under {assumed} alone no block is identified}}")
        else:
            closed = (
                r"\operatorname{cl}(k) \subseteq A\ \forall k \in A"
                if self._budget
                else r"A = \textstyle\bigcup \{B \in \mathcal C : B \subseteq A\}"
            )
            needed = ", ".join(COUNTED if self._budget else PURE)
            lines.append(rf"\text{{under {needed}: }} \hat z_{{\hat A}} = h_A(z_A) \iff {closed}")
        closures = list(family.ring.closures.items())
        for concept, closure in closures[:limit]:
            members = ", ".join(map(name, family.space.ordered(closure)))
            lines.append(rf"\operatorname{{cl}}({name(concept)}) = \{{{members}\}}")
        if len(closures) > limit:
            lines.append(rf"\text{{and {len(closures) - limit} more}}")
        rows = " \\\\\n".join(f"&{line}" for line in lines)
        return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def _repr_html_(self) -> str:
        order = self.family.space.ordered
        rows: list[str] = []
        for concept in self.family.concepts:
            if concept in self.unmentioned:
                verdict, others = "never mentioned", ""
            elif concept in self.alone:
                verdict, others = "alone", ""
            elif concept in self.entangled:
                verdict = "only together with"
                others = ", ".join(str(name) for name in order(self.entangled[concept]))
            else:
                verdict, others = "pure, perhaps incomplete", ""
            cells = (str(concept), verdict, others)
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        dropped = f"<p>Not assumed: {', '.join(self.dropped)}</p>" if self.dropped else ""
        return (
            f"{dropped}<table><tr><th>concept</th><th>identified</th><th></th></tr>"
            f"{''.join(rows)}</table>"
        )


def _escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(
        {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}.get(
            sign, f"\\{sign}" if sign in "#$%&_{}" else sign
        )
        for sign in text
    )


def predict(
    family: CaptionFamily | Iterable[Iterable[Concept]], *, without: Iterable[str] = ()
) -> Prediction:
    """Identified blocks = { A non-empty : cl(k) in A for every k in A }, under C2, C3 and C5.

    Args:
        family: the captions, their concepts and sizes; or captions alone, a list of lists.
        without: names of conditions not to assume, such as "C5". Without C5 only captions and their
            unions are promised; without C2 or C3 nothing is; without C1 or C4 nothing is lost,
            because C3 implies what is needed of C1, and with C5 all of C4.

    Returns:
        The prediction, lazy where it can be large.

    Raises:
        InputError: an unknown condition, or captions that are none.

    Source: after SmartCLIP, CVPR 2025, Theorem 4.3; that it is exactly these is derived here.

    >>> prediction = predict([["bear", "pen"], ["bear", "chair"]])
    >>> prediction.dependency.tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    >>> predict(prediction.family, without=["C5"]).alone
    ()
    """
    if not isinstance(family, CaptionFamily):
        family = CaptionFamily.from_captions(family)
    dropped = {str(name) for name in ([without] if isinstance(without, str) else without)}
    for name in dropped:
        if name not in CONDITIONS:
            raise InputError(
                f"{name!r} is not a condition",
                rule=f"the conditions are {', '.join(CONDITIONS)}",
                fix="use one of these names",
            )
    return Prediction(family=family, dropped=tuple(name for name in CONDITIONS if name in dropped))
