"""Did an encoder recover the blocks its captions promise? Measured on held-out samples."""

from theory.recovery.recovery import BlockScore, Recovery, block_recovery
from theory.recovery.ridge import Ridge
from theory.recovery.verdict import Bar, Score, Verdict

__all__ = ["Bar", "BlockScore", "Recovery", "Ridge", "Score", "Verdict", "block_recovery"]
