"""Fixed versions of npm packages, fetched with `npm pack` and checked by SHA-512.

A package is only downloaded: npm runs none of its scripts, and its archive is read member by
member in memory, so no path inside it is ever written to the disk.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from theory.errors import InputError

_MINUTES = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One version of a package.

    Attributes:
        name: in the registry.
        version: exactly this one.
        integrity: SHA-512 of the archive in base64, as npm writes it after `sha512-`.
        size: of the archive in bytes.
    """

    name: str
    version: str
    integrity: str
    size: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def fetch(package: Package, folder: Path) -> Path:
    """The archive of a package, downloaded into `folder` and checked.

    Raises:
        InputError: npm is missing, the download failed, or the archive is not the one expected.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            "npm was not found",
            rule=f"{package} is fetched with `npm pack`",
            fix="install Node.js, which brings npm, and try again",
        )
    command = [npm, "pack", str(package), "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(  # noqa: S603 (no shell; the arguments are constants of the project)
            [*command, "--pack-destination", str(folder)],
            capture_output=True,
            text=True,
            timeout=60 * _MINUTES,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_fetched(package, str(error)) from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise _not_fetched(package, lines[-1] if lines else f"exit status {done.returncode}")
    archive = folder / f"{package.name}-{package.version}.tgz"
    if not archive.is_file():
        raise _not_fetched(package, f"npm wrote no {archive.name}")
    return checked(package, archive)


def checked(package: Package, archive: Path) -> Path:
    """The archive itself, once its SHA-512 is the pinned one.

    Raises:
        InputError: it is another file.
    """
    with archive.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if digest != package.integrity:
        raise InputError(
            f"the archive of {package} has the SHA-512 {digest[:12]}...",
            rule=f"this version has {package.integrity[:12]}...",
            fix="the download is damaged or changed; try again, or ask who runs your registry",
        )
    return archive


def members(
    archive: Path, wanted: Callable[[str], bool], *, largest: int
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the wanted plain files of a tar archive, in memory.

    Args:
        archive: a `.tgz` file.
        wanted: says of a member's name whether to read it.
        largest: in bytes; a wanted member that claims to be larger is refused.

    Raises:
        InputError: a wanted member is too large or not a plain file, or the archive is damaged.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if not wanted(member.name):
                    continue
                content = tar.extractfile(member) if member.isfile() else None
                if content is None or member.size > largest:
                    raise InputError(
                        f"{archive.name}: {member.name} is not a plain file of at most "
                        f"{largest} bytes",
                        rule="nothing else is read from a package",
                        fix="delete the archive and fetch it again",
                    )
                yield member.name, content.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise InputError(
            f"{archive.name} is damaged ({error})",
            rule="a package is a gzipped tar archive",
            fix="delete it and fetch it again",
        ) from error


def _not_fetched(package: Package, why: str) -> InputError:
    return InputError(
        f"{package} could not be fetched ({why})",
        rule="it comes from the npm registry that this machine is set up for",
        fix="check the network and `npm ping`, then try again",
    )
