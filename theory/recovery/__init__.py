"""Did an encoder recover the blocks its captions promise? Measured on held-out samples."""

from theory.recovery.categories import CategoricalScore, categorical_score
from theory.recovery.controls import beside_known, comparison, recovery_under_controls
from theory.recovery.grid import Grid
from theory.recovery.probe import Probe
from theory.recovery.recovery import BlockScore, Recovery, block_recovery
from theory.recovery.ridge import Ridge
from theory.recovery.seeds import over_seeds
from theory.recovery.verdict import Bar, Score, Verdict

__all__ = [
    "Bar",
    "BlockScore",
    "CategoricalScore",
    "Grid",
    "Probe",
    "Recovery",
    "Ridge",
    "Score",
    "Verdict",
    "beside_known",
    "block_recovery",
    "categorical_score",
    "comparison",
    "over_seeds",
    "recovery_under_controls",
]
