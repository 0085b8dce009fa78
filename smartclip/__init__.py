"""SmartCLIP: the model, its objective, training, data and evaluation."""

from smartclip.model import SmartCLIP
from smartclip.objective import modular_contrastive_loss

__all__ = ["SmartCLIP", "modular_contrastive_loss"]
