"""Two corpora beside each other: what each lets anybody identify, and which ties the other cuts."""

from dataclasses import asdict, dataclass
from typing import Any

from smartclip.audit.findings import Findings


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A tie of the first corpus in the second.

    Attributes:
        concept: never without `other` in the first.
        other: its companion there.
        mentions: captions of the second with `concept`.
        exceptions: those without `other`; none where the tie holds there too.
    """

    concept: str
    other: str
    mentions: int
    exceptions: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The concepts of two corpora by what each identifies.

    Attributes:
        alone_in_both: concepts identified alone in both.
        alone_in_first: bound, or not mentioned often enough, in the second.
        alone_in_second: the other way round.
        bound_in_both: mentioned in both, alone in neither.
        cuts: ties of the first, as far as they are listed, where the second mentions both concepts.
    """

    alone_in_both: tuple[str, ...]
    alone_in_first: tuple[str, ...]
    alone_in_second: tuple[str, ...]
    bound_in_both: tuple[str, ...]
    cuts: tuple[Cut, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "alone_in_both": list(self.alone_in_both),
            "alone_in_first": list(self.alone_in_first),
            "alone_in_second": list(self.alone_in_second),
            "bound_in_both": list(self.bound_in_both),
            "cuts": [asdict(cut) for cut in self.cuts],
        }


def compare(first: Findings, second: Findings) -> Comparison:
    """Concept by concept, by name."""
    alone = [
        {name for name, is_alone in zip(one.concepts, one.alone, strict=True) if is_alone}
        for one in (first, second)
    ]
    said = [
        {name for name, count in zip(one.concepts, one.mentions, strict=True) if count}
        for one in (first, second)
    ]
    number = {name: k for k, name in enumerate(second.concepts)}
    cuts: list[Cut] = []
    for tie in first.never:
        k, j = number.get(str(tie.counts.concept)), number.get(str(tie.counts.other))
        if k is not None and j is not None and second.total[k, k]:
            cuts.append(
                Cut(
                    concept=str(tie.counts.concept),
                    other=str(tie.counts.other),
                    mentions=int(second.total[k, k]),
                    exceptions=int(second.total[k, k] - second.total[k, j]),
                )
            )
    return Comparison(
        alone_in_both=tuple(sorted(alone[0] & alone[1])),
        alone_in_first=tuple(sorted(alone[0] - alone[1])),
        alone_in_second=tuple(sorted(alone[1] - alone[0])),
        bound_in_both=tuple(sorted((said[0] & said[1]) - alone[0] - alone[1])),
        cuts=tuple(cuts),
    )
