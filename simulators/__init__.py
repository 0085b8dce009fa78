"""Worlds with known concept blocks, and a switch for every condition."""

from simulators.digits import DigitWorld
from simulators.scenes import SceneWorld
from simulators.vectors import VectorWorld
from simulators.world import Batch, Truth, World

__all__ = ["Batch", "DigitWorld", "SceneWorld", "Truth", "VectorWorld", "World"]
