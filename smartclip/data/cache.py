"""Where downloaded data live: `$SMARTCLIP_CACHE`, else `~/.cache/smartclip`."""

import os
import shutil
import tempfile
from pathlib import Path

from theory.errors import InputError


def cache_folder(given: Path | None = None, *, needs: int = 0) -> Path:
    """A folder that exists, can be written and has `needs` bytes free.

    Args:
        given: the folder asked for; without one, the environment variable SMARTCLIP_CACHE, and
            without that `~/.cache/smartclip`.
        needs: bytes that will be written.

    Raises:
        InputError: the folder cannot be made or written, or its disk is too full.
    """
    default = os.environ.get("SMARTCLIP_CACHE") or Path.home() / ".cache" / "smartclip"
    folder = Path(given or default).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise InputError(
            f"the cache folder {folder} cannot be written ({error.strerror or error})",
            rule="downloaded data are kept in a cache folder",
            fix="give another with --cache, or set SMARTCLIP_CACHE",
        ) from error
    if free < needs:
        raise InputError(
            f"the cache folder {folder} has {free / 1e6:.0f} MB free",
            rule=f"this needs {needs / 1e6:.0f} MB",
            fix="free some space, or give another folder with --cache",
        )
    return folder
