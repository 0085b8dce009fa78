"""The modular contrastive loss: what it is, its similarities, and how it is computed fast."""

from smartclip.objective.loss import modular_contrastive_loss, similarity_matrix
from smartclip.objective.similarities import Similarity

__all__ = ["Similarity", "modular_contrastive_loss", "similarity_matrix"]
