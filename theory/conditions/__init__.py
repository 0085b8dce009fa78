"""The conditions: what the theorem assumes of the world (C1, C2) and of the code (C3, C4, C5).

SmartCLIP, CVPR 2025, Condition 4.2 and Theorem 4.3 (C1, C2, C4); the sharper wording of C2, and C3
and C5, are derived here. Each file `c*.py` holds one condition, registers it, and checks it; a new
condition is a new file. Checks answer with a verdict and, where they refute, a witness.
"""

from importlib import import_module
from pkgutil import iter_modules

from theory.conditions.c1_invertible import Decided, Generator, check_invertible
from theory.conditions.c2_support import check_support
from theory.conditions.c3_lossless import check_lossless
from theory.conditions.c4_sparsest import check_sparsest
from theory.conditions.c5_budget import check_budget
from theory.conditions.condition import CONDITIONS, Condition, Cost
from theory.conditions.verdict import (
    Answer,
    Collision,
    ConditionVerdict,
    Flat,
    Misaligned,
    Miscounted,
    NeverSeen,
    NotSmooth,
    Refutation,
)

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "CONDITIONS",
    "Answer",
    "Collision",
    "Condition",
    "ConditionVerdict",
    "Cost",
    "Decided",
    "Flat",
    "Generator",
    "Misaligned",
    "Miscounted",
    "NeverSeen",
    "NotSmooth",
    "Refutation",
    "check_budget",
    "check_invertible",
    "check_lossless",
    "check_sparsest",
    "check_support",
]
