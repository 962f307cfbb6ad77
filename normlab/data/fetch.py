"""Fetches published archives into a folder: the canonical ones, or a registry's copy.

The functions here do not check what they fetch; `read_archive` does.
"""

import http.client
import shutil
import subprocess
import urllib.request
from pathlib import Path

from normlab.data.archives import idx
from normlab.errors import UserError

_CIFAR10 = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_BYTES = 170_052_171
_STALL_SECONDS = 5.0
_CLIENT_SECONDS = 900.0
# More bytes than a gzipped IDX file of these datasets has.
_IDX_BYTES = 30_000_000


def cifar10(folder: Path) -> Path:
    """Downloads the archive that CIFAR-10's author publishes. Tries only once.

    Raises:
      UserError: no connection or no data within a few seconds, or a file too large.
    """
    target = folder / "cifar-10-binary.tar.gz"
    download(_CIFAR10, target, _CIFAR10_BYTES)
    return target


def idx_files(folder: Path, url: str) -> Path:
    """Downloads the four gzipped IDX files at ``url``; returns their folder.

    Raises:
      UserError: as for `cifar10`.
    """
    for file in idx.FILES.values():
        download(f"{url}/{file}.gz", folder / f"{file}.gz", _IDX_BYTES)
    return folder


def download(url: str, target: Path, limit: int) -> None:
    """Fetches a file of at most ``limit`` bytes.

    Raises:
      UserError: it cannot be fetched, or is too large.
      OSError: it cannot be written.
    """

    def attempt(get):
        try:
            return get()
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"{url} cannot be fetched ({error})") from error

    left = limit
    response = attempt(lambda: urllib.request.urlopen(url, timeout=_STALL_SECONDS))
    with response, target.open("wb") as file:
        while block := attempt(lambda: response.read(1 << 20)):
            left -= len(block)
            if left < 0:
                raise UserError(f"{url} is larger than the published {limit} bytes")
            file.write(block)


def npm(folder: Path, package: str) -> Path:
    """Makes the npm client fetch a package, ``name@version``, from npm's registry.

    Raises:
      UserError: npm is not installed, or failed.
    """
    words = ["npm", "pack", package, "--ignore-scripts", "--fetch-retries=1"]
    return _by_client(words, folder, "*.tgz")


def apt(folder: Path, package: str) -> Path:
    """Makes apt fetch a package of this Debian (or Ubuntu), without installing it.

    Raises:
      UserError: there is no apt, or it failed.
    """
    return _by_client(["apt-get", "download", package], folder, "*.deb")


def installed(folder: Path, path: str) -> Path:
    """The folder ``path``, to which the system's package installs the files.

    Raises:
      UserError: it does not exist.
    """
    if not Path(path).is_dir():
        raise UserError(f"{path} does not exist")
    return Path(path)


def _by_client(words: list[str], folder: Path, pattern: str) -> Path:
    """Runs a package manager in ``folder``; returns the file that it wrote there."""
    program = shutil.which(words[0])
    if program is None:
        raise UserError(f"{words[0]} is not installed")
    try:
        done = subprocess.run(
            [program, *words[1:]],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_CLIENT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        seconds = f"{_CLIENT_SECONDS:.0f} seconds"
        raise UserError(f"{words[0]} took more than {seconds}") from None
    packages = sorted(folder.glob(pattern))
    if done.returncode != 0 or not packages:
        said = [
            line
            for line in done.stderr.splitlines()
            if " code " in line or line.startswith("E: ")
        ]
        reason = said[0] if said else f"exit status {done.returncode}"
        raise UserError(f"{' '.join(words[:3])} failed ({reason})")
    return packages[0]
