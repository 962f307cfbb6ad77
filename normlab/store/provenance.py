"""Where a number came from: versions, revision, device, time."""

import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import normlab

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of normlab, Python and the packages that make the numbers."""
    code_versions = {
        "normlab": normlab.__version__,
        "python": platform.python_version(),
    }
    return code_versions | {name: metadata.version(name) for name in _PACKAGES}


def revision() -> str | None:
    """The git revision, with ``-dirty`` if the code was changed; None outside git."""
    folder = Path(normlab.__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", "__init__.py"],
            cwd=folder,
            capture_output=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # An installed copy may lie inside another project's checkout.
    return done.stdout.strip() if tracked.returncode == 0 else None


def device() -> str:
    """The first device of this process: ``cpu: cpu``."""
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind}"


def session(where: str | None = None) -> dict[str, Any]:
    """The stamp of one start of a run.

    Args:
      where: the `device` that computes, if it belongs to another process.
    """
    return {
        "started": now(),
        "device": device() if where is None else where,
        "revision": revision(),
        "versions": versions(),
    }
