"""SmartCLIP: the model, its objective, training, data and evaluation.

The names below are imported when they are first asked for, so that what needs no torch, such as the
list of methods, does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smartclip.model import SmartCLIP
    from smartclip.objective import modular_contrastive_loss

__all__ = ["SmartCLIP", "modular_contrastive_loss"]

_HOMES = {"SmartCLIP": "smartclip.model", "modular_contrastive_loss": "smartclip.objective"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
