"""captions -> identified blocks: what SmartCLIP's theory promises, before any training.

Paper: SmartCLIP, CVPR 2025, Condition 4.2 and Theorem 4.3.
"""

from theory.captions import CaptionFamily
from theory.concepts import Block, Concept, ConceptSpace
from theory.errors import InputError
from theory.lattice import Accompaniment, Location, Ring
from theory.prediction import Explanation, Prediction, Promise, predict

__all__ = [
    "Accompaniment",
    "Block",
    "CaptionFamily",
    "Concept",
    "ConceptSpace",
    "Explanation",
    "InputError",
    "Location",
    "Prediction",
    "Promise",
    "Ring",
    "predict",
]
