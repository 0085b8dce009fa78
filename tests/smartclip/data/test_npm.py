import base64
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from smartclip.data.npm import Package, checked, fetch, members
from theory.errors import InputError

posix = pytest.mark.skipif(os.name == "nt", reason="the fake npm is a shell script")


def archive(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


def package(path: Path) -> Package:
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    return Package(name="thing", version="1.2.3", integrity=digest, size=path.stat().st_size)


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(npm.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@posix
def test_fetch_asks_for_the_pinned_version_without_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path / "source.tgz", {"package/a": b"a"})
    script = f'echo "$@" > {tmp_path}/asked; cp {source} "$6/thing-1.2.3.tgz"'
    fake_npm(tmp_path, script, monkeypatch)
    (tmp_path / "into").mkdir()
    found = fetch(package(source), tmp_path / "into")
    assert found.read_bytes() == source.read_bytes()
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:2] == ["pack", "thing@1.2.3"]
    assert "--ignore-scripts" in asked


@posix
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'npm error network ENOTFOUND' >&2; exit 1", "ENOTFOUND"),
        ("exit 3", "exit status 3"),
        ("exit 0", "wrote no thing-1.2.3.tgz"),
        ("echo changed > $6/thing-1.2.3.tgz", "SHA-512"),
    ],
)
def test_a_download_that_fails_is_told_in_one_line(
    script: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path / "source.tgz", {"package/a": b"a"})
    fake_npm(tmp_path, script, monkeypatch)
    with pytest.raises(InputError, match=told) as caught:
        fetch(package(source), tmp_path)
    assert "\n" not in str(caught.value)


def test_without_npm_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path / "source.tgz", {"package/a": b"a"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"npm was not found.*install Node\.js"):
        fetch(package(source), tmp_path)


def test_one_changed_byte_is_noticed(tmp_path: Path) -> None:
    source = archive(tmp_path / "source.tgz", {"package/a": b"a"})
    expected = package(source)
    assert checked(expected, source) == source
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    source.write_bytes(content)
    with pytest.raises(InputError, match="SHA-512"):
        checked(expected, source)


def test_only_wanted_members_are_read_and_none_is_written(tmp_path: Path) -> None:
    files = {"package/a": b"first", "../escaped": b"bad", "/absolute": b"bad", "package/b": b"b"}
    source = archive(tmp_path / "source.tgz", files)
    before = sorted(tmp_path.parent.rglob("*"))
    found = dict(members(source, lambda name: name.startswith("package/"), largest=10))
    assert found == {"package/a": b"first", "package/b": b"b"}
    assert dict(members(source, lambda _: True, largest=10)) == files
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_large_members_and_links_are_refused(tmp_path: Path) -> None:
    big = archive(tmp_path / "big.tgz", {"package/a": bytes(11)})
    with pytest.raises(InputError, match="at most 10 bytes"):
        list(members(big, lambda _: True, largest=10))
    assert list(members(big, lambda _: False, largest=10)) == []
    link = archive(tmp_path / "link.tgz", {}, {"package/a": "/etc/hostname"})
    with pytest.raises(InputError, match="not a plain file"):
        list(members(link, lambda _: True, largest=10))


@pytest.mark.parametrize("kept", [0, 1, 30, 100])
def test_a_cut_archive_is_told(kept: int, tmp_path: Path) -> None:
    source = archive(tmp_path / "source.tgz", {"package/a": os.urandom(4000)})
    source.write_bytes(source.read_bytes()[:kept])
    with pytest.raises(InputError, match="damaged"):
        list(members(source, lambda _: True, largest=10_000))
