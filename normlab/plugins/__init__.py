"""Plugins: entries that a user's own code has, by name, without a change in normlab.

A name with a colon, ``module.path:attribute``, is imported. A name without one that is
not among the package's own entries is looked up among the entry points of installed
packages, in the group ``normlab.<setting>`` (``normlab.model``).

Importing runs code. So a module is only imported if the user named it in this process:
by the flag that asks for it, or with ``--allow``. A run directory may come from someone
else, and its names alone import nothing, except entry points, whose packages the user
has installed, and the layers and optimizers of libraries that normlab itself imports.
"""

import contextlib
import difflib
import importlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from normlab.errors import UserError
from normlab.plugins.calls import PLACES, accepted, calling, failed
from normlab.plugins.source import change, package_folder, source_of

__all__ = [
    "Permits",
    "Plugin",
    "accepted",
    "adopt_permits",
    "allow",
    "calling",
    "change",
    "entry_points",
    "load",
    "permits",
    "short",
]


class Permits(NamedTuple):
    """What this process may import, and from where. It can be sent to another process.

    Attributes:
      names: plugins, ``module.path:attribute``.
      modules: modules and packages, with everything in them.
      folder: the working directory of the user's command.
    """

    names: tuple[str, ...]
    modules: tuple[str, ...]
    folder: str


# normlab imports these in any case. One public word after the colon is one of their
# layers or optimizers; several words could lead to anything that these modules import.
_OWN = re.compile(r"(flax\.linen|optax|optax\.contrib):[A-Za-z]\w*")

_names: set[str] = set()
_modules: set[str] = set()


def allow(names: Iterable[str] = (), modules: Iterable[str] = ()) -> None:
    """Allows this process to import what its user named.

    Args:
      names: plugins, ``module.path:attribute``. Other names are ignored.
      modules: modules or packages, with everything in them.
    """
    _names.update(name for name in names if ":" in name)
    _modules.update(modules)


def permits() -> Permits:
    """What `allow` has allowed in this process."""
    return Permits(tuple(sorted(_names)), tuple(sorted(_modules)), os.getcwd())


def adopt_permits(given: Permits) -> None:
    """Allows what another process of the same user allowed, in its folder if it exists.

    So relative paths and modules of the working directory mean the same here.
    """
    allow(given.names, given.modules)
    with contextlib.suppress(OSError):
        os.chdir(given.folder)


def short(name: str) -> str:
    """The part of a plugin's name that figures and folders show.

    ``my_project.models:ViT`` -> ``ViT``, ``npz:data/eggs.npz`` -> ``eggs``,
    ``tfds:mnist`` -> ``mnist``. A name without a colon is not changed.
    """
    kind, colon, rest = name.partition(":")
    if not colon:
        return name
    if kind == "npz":
        rest = Path(rest).stem
    elif kind != "tfds":
        rest = rest.rpartition(".")[2]
    letters = (c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in rest)
    return "".join(letters)[:40] or "_"


class Plugin(NamedTuple):
    """What a name stands for.

    Attributes:
      name: the name.
      object: the imported object.
      source: where it came from, for the record of a run (`source_of`).
    """

    name: str
    object: Any
    source: dict[str, Any]


def load(setting: str, name: str) -> Plugin | None:
    """Imports the plugin called ``name``; None if there is no such entry point.

    Args:
      setting: the setting that has this value, for messages and entry points.

    Raises:
      UserError: the user has not allowed the import, or it fails, or the module has no
        such attribute.
    """
    if ":" not in name:
        return _entry_point(setting, name)
    module_name, _, path = name.partition(":")
    words = (*module_name.split("."), *path.split("."))
    if not all(word.isidentifier() for word in words):
        raise UserError(
            f"--{setting}={name}: a plugin is named module.path:attribute, like "
            "my_project.models:ViT"
        )
    _check_allowed(setting, name, module_name)
    if not sys.flags.safe_path and not {"", os.getcwd()} & set(sys.path):
        # `python -m normlab.sweep` has it. The script of a console command has not, so
        # such a command needs nothing more than this.
        sys.path.insert(0, os.getcwd())
    module = _imported(setting, name, module_name)
    found: Any = module
    for word in path.split("."):
        found = _attribute(setting, name, found, word)
    return _plugin(name, found, module, {})


def _check_allowed(setting: str, name: str, module: str) -> None:
    parents = {module.rsplit(".", i)[0] for i in range(module.count(".") + 1)}
    if name not in _names and not parents & _modules and not _OWN.fullmatch(name):
        top = module.partition(".")[0]
        raise UserError(
            f"--{setting}={name}: the run wants to import the module {module}, which "
            f"this command does not name. If you trust it, add --allow={top}"
        )


def _entry_point(setting: str, name: str) -> Plugin | None:
    found = importlib.metadata.entry_points(group=f"normlab.{setting}", name=name)
    if not found:
        return None
    if len(found) > 1:
        places = ", ".join(sorted(point.value for point in found))
        raise UserError(f"--{setting}={name}: several packages have it: {places}")
    (point,) = found
    module = _imported(setting, name, point.module)
    loaded: Any = module
    for word in (point.attr or "").split("."):
        loaded = _attribute(setting, name, loaded, word)
    package = point.dist
    origin = f"{package.name} {package.version}" if package else ""
    return _plugin(name, loaded, module, {"distribution": origin} if origin else {})


def entry_points(setting: str) -> tuple[str, ...]:
    """The names of the installed entry points for a setting."""
    found = importlib.metadata.entry_points(group=f"normlab.{setting}")
    return tuple(sorted({point.name for point in found}))


def _imported(setting: str, name: str, module: str) -> ModuleType:
    says = f"--{setting}={name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"{says}: there is no module {error.name} in the working directory or "
                "among the installed packages"
            ) from error
        raise failed(f"{says}: cannot import {module}", error, None) from error
    # A script without a main guard may exit.
    except (Exception, SystemExit) as error:
        raise failed(f"{says}: cannot import {module}", error, None) from error


def _attribute(setting: str, name: str, owner: Any, word: str) -> Any:
    try:
        return getattr(owner, word)
    except AttributeError:
        called = getattr(owner, "__name__", type(owner).__name__)
        public = [n for n in dir(owner) if not n.startswith("_")]
        near = difflib.get_close_matches(word, public) or sorted(public)[:10]
        hint = f"; it has {', '.join(near)}" if near else ""
        raise UserError(f"--{setting}={name}: {called} has no {word}{hint}") from None


def _plugin(
    name: str, found: Any, module: ModuleType, more: Mapping[str, Any]
) -> Plugin:
    root = package_folder(module)
    PLACES[name] = root or Path(getattr(module, "__file__", None) or ".")
    return Plugin(name, found, {**source_of(module, root), **more})
