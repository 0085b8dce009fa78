"""Files are written whole or not at all, and what is no file stays what it is."""

import os
from pathlib import Path

import pytest

from theory.errors import InputError
from theory.storage import write_atomically


def test_a_pipe_or_a_device_stays_what_it_is(tmp_path: Path) -> None:
    """A file that took the place of /dev/null would break the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(InputError, match="is a device or a pipe"), write_atomically(path):
            raise AssertionError
    assert pipe.is_fifo()
    with pytest.raises(InputError, match="is a folder"), write_atomically(tmp_path):
        raise AssertionError


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    with write_atomically(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "file").read_text() == "new"
