"""The packages that exports are made and checked with: an extra, imported when needed."""

import importlib
from types import ModuleType

from smartclip.towers.open_clip import load_open_clip
from theory.errors import InputError


def needed(name: str) -> ModuleType:
    """Import a package of the extra `export`.

    Raises:
        InputError: it is not installed.
    """
    # Some of them import torchvision, which may be of another build than torch.
    load_open_clip()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"the package {name} is not installed",
            rule="this export is made with the packages of the extra `export`",
            fix='install it: pip install "smartclip-testbed[export]"',
        ) from error
