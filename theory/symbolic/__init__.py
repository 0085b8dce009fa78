"""Generators in sympy: C1 proved, refuted with a witness, or left open."""

from theory.symbolic.generator import SymbolicGenerator

__all__ = ["SymbolicGenerator"]
