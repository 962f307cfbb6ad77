"""Where a number came from: versions, revision, device, time."""

import datetime
import logging
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import normlab
from normlab.errors import UserError
from normlab.plugins import change
from normlab.registry import REGISTRIES
from normlab.settings import settings_of

log = logging.getLogger(__name__)

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


def check_names(settings: Any) -> None:
    """Checks all names of entries in some settings, and imports the plugins among them.

    A name is also checked if no cell reads its setting.

    Raises:
      UserError: a name is unknown, or a plugin may not be imported, or cannot be.
    """
    for registry, name in _entries(settings):
        REGISTRIES[registry].find(name)


def plugins_of(settings: Any) -> dict[str, dict[str, Any]]:
    """Setting -> plugin -> its source (`normlab.plugins`), of those that are imported.

    Args:
      settings: a cell's configuration, or a sweep's.
    """
    sources: dict[str, dict[str, Any]] = {}
    for registry, name in _entries(settings):
        if name in REGISTRIES[registry].sources:
            source = REGISTRIES[registry].sources[name]
            sources.setdefault(registry, {})[name] = source
    return sources


def _entries(settings: Any) -> Iterator[tuple[str, str]]:
    """(registry, name) for each name in some settings that a registry has to know.

    Registries that are not imported are left out.
    """
    for spec, setting in settings_of(settings):
        if isinstance(setting.choices, str) and setting.choices in REGISTRIES:
            value = getattr(settings, spec.name)
            for name in value if isinstance(value, tuple) else (value,):
                if name is not None:  # a setting that the cell does not read
                    yield setting.choices, name


def changed_plugins(record: Mapping[str, Any], settings: Any) -> str:
    """Which plugins' sources are not those that a run was begun with; "" if none.

    It names one plugin of each package, if possible one whose own file changed.

    Args:
      record: sweep.json or cell.json.
      settings: those of the sweep or the cell. Only imported plugins are compared.
    """
    old = record.get("plugins")
    old = old if isinstance(old, dict) else {}
    by_owner: dict[str, str] = {}
    for registry, sources in plugins_of(settings).items():
        before = old.get(registry)
        for name, source in sources.items():
            was = before.get(name) if isinstance(before, dict) else None
            what = change(was, source) if was else None
            owner = source.get("package") or source.get("module") or name
            if what and (owner not in by_owner or "package" not in what):
                by_owner[owner] = f"--{registry}={name} is not as it was: {what}"
    lines = "; ".join(by_owner.values())
    return f"{lines} since the run was begun" if lines else ""


# What has been said in this process, which may read many cells of one run.
_said: set[str] = set()


def warn_changed(record: Mapping[str, Any], settings: Any) -> None:
    """Logs `changed_plugins`, once: what is measured is other code than ran."""
    line = changed_plugins(record, settings)
    if line and line not in _said:
        log.warning("%s", line)
        _said.add(line)


def check_plugins(record: Mapping[str, Any], settings: Any) -> None:
    """Checks that a run can go on with the plugins that it was begun with.

    Raises:
      UserError: the source of one has changed.
    """
    line = changed_plugins(record, settings)
    if line:
        raise UserError(
            f"{line}. A run does not mix two versions: restore the old one, or choose "
            "another --out"
        )
