import os
import shutil
from pathlib import Path

import pytest

from smartclip.data.cache import cache_folder
from theory.errors import InputError


def test_the_folder_given_comes_first_then_the_environment_then_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("SMARTCLIP_CACHE", raising=False)
    assert cache_folder() == tmp_path / "home" / ".cache" / "smartclip"
    monkeypatch.setenv("SMARTCLIP_CACHE", str(tmp_path / "environment"))
    assert cache_folder() == tmp_path / "environment"
    assert cache_folder(tmp_path / "given" / "deep") == tmp_path / "given" / "deep"
    assert (tmp_path / "given" / "deep").is_dir()
    assert list((tmp_path / "given" / "deep").iterdir()) == []


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        cache_folder(tmp_path / "file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        cache_folder(tmp_path)
    tmp_path.chmod(0o700)


def test_a_full_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    assert cache_folder(tmp_path, needs=5_000_000) == tmp_path
    with pytest.raises(InputError, match="has 5 MB free; this needs 400 MB"):
        cache_folder(tmp_path, needs=400_000_000)
