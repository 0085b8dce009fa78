"""Coordinate metrics, each as a pure function and as an accumulating class."""

from theory.recovery.metrics.blocks import BlockRecovery
from theory.recovery.metrics.correlation import MeanCorrelation, mean_correlation
from theory.recovery.metrics.dci import DCI, Disentanglement, dci, dci_of_importance
from theory.recovery.metrics.masks import MaskAgreement, MaskSupport, mask_agreement

__all__ = [
    "DCI",
    "BlockRecovery",
    "Disentanglement",
    "MaskAgreement",
    "MaskSupport",
    "MeanCorrelation",
    "dci",
    "dci_of_importance",
    "mask_agreement",
    "mean_correlation",
]
