"""File systems of a test's own, where the system lends them: Linux namespaces."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(mount: str, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a module after a ``mount`` command that only it sees, as root or not.

    Skips the test where there are no user namespaces.
    """
    if shutil.which("unshare") is None:
        pytest.skip("no unshare: a mount of one's own is not to be had")
    tried = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount], capture_output=True, text=True
    )
    if tried.returncode:
        pytest.skip(f"no mount of one's own is to be had: {tried.stderr.strip()}")
    command = f'{mount} && exec "$0" -m {module} "$@"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=600,
    )
