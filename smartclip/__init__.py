"""SmartCLIP: the model, its objective, training, data and evaluation.

The two names are imported when they are asked for: reading data needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smartclip.model import SmartCLIP
    from smartclip.objective import modular_contrastive_loss

__all__ = ["SmartCLIP", "modular_contrastive_loss"]

_HOME = {"SmartCLIP": "model", "modular_contrastive_loss": "objective"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"smartclip.{_HOME[name]}"), name)
