"""Layouts of image-text data, one a file: each defines `FORMAT`, named as its file."""

import pkgutil


def names() -> list[str]:
    """The names of all layouts, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
