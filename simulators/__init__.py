"""Worlds with known concept blocks, and a switch for every condition.

The names below are imported when they are first asked for, since they need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.digits import DigitWorld
    from simulators.scenes import SceneWorld
    from simulators.vectors import VectorWorld
    from simulators.world import Batch, Truth, World

__all__ = ["Batch", "DigitWorld", "SceneWorld", "Truth", "VectorWorld", "World"]

_HOMES = {
    "Batch": "simulators.world",
    "DigitWorld": "simulators.digits",
    "SceneWorld": "simulators.scenes",
    "Truth": "simulators.world",
    "VectorWorld": "simulators.vectors",
    "World": "simulators.world",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
