"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from theory.errors import InputError


@contextmanager
def write_atomically(path: str | Path) -> Generator[Path, None, None]:
    """Give a temporary path in the same folder; on success it takes the place of `path`.

    A killed run or a full disk leaves the old file as it was. The bytes reach the disk before the
    name does, so a power cut does not leave an empty file under the right name either.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with write_atomically(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'

    Raises:
        InputError: the folder cannot be written, the disk is full, or there is something that is no
            file, such as a device.
    """
    path = Path(path)
    with writing(path):
        if path.is_symlink():
            path = path.resolve()  # what it points to is written, and it stays a link
        taken = path.exists() and not path.is_file()
    if taken:
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise InputError(
            f"{path} is {kind}",
            rule="an output takes the place of a file",
            fix="name a file; of commands, --json - writes to standard output",
        )
    temporary: Path | None = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            # A temporary file is private; the finished one is as readable as any other.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            temporary.replace(path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Generator[None, None, None]:
    """A full disk, or a folder that may not be written, is told in one line.

    Raises:
        InputError: the system refuses what is written inside.
    """
    try:
        yield
    except OSError as error:
        raise not_written(path, error.strerror or error) from error


def not_written(path: str | Path, why: object) -> InputError:
    """The error that says why a file could not be written."""
    return InputError(
        f"{path} could not be written ({why})",
        rule="outputs are written whole or not at all",
        fix="free some space or choose another folder; nothing already there was changed",
    )
