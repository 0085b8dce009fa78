"""The paper's symbols beside Python names: `Annotated[Block, InPaperAs("B")]`."""

from dataclasses import dataclass
from typing import Any, get_type_hints


@dataclass(frozen=True, slots=True)
class InPaperAs:
    """The symbol, in LaTeX, that the paper or `docs/theory.md` uses.

    >>> InPaperAs(r"\\mathcal C")._repr_latex_()
    '$\\\\mathcal C$'
    """

    symbol: str

    def _repr_latex_(self) -> str:
        return f"${self.symbol}$"


def symbols(owner: type[Any]) -> dict[str, str]:
    """Attribute -> symbol, for the attributes that have one.

    >>> from theory.prediction import Promise
    >>> symbols(Promise)["block"]
    'B'
    """
    hints = get_type_hints(owner, include_extras=True)
    return {
        name: mark.symbol
        for name, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, InPaperAs)
    }
