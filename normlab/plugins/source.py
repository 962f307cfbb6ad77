"""Where a plugin came from: its module, and digests of its code."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

# A package with more files is no one's own project; only the module is hashed then.
_MOST_FILES = 5000


def package_folder(module: ModuleType) -> Path | None:
    """The folder of the module's top-level package; None for a module outside one."""
    top = module.__name__.partition(".")[0]
    folders = list(getattr(sys.modules.get(top), "__path__", ()))
    return Path(folders[0]) if len(folders) == 1 else None


def source_of(module: ModuleType, root: Path | None) -> dict[str, Any]:
    """The module, and digests of its code.

    ``sha256`` is of the module's file. If it is in a package, ``package_sha256`` is of
    the names and contents of all ``.py`` files of the top-level package. Files that the
    code reads, and other modules that it imports, are not covered.
    """
    source: dict[str, Any] = {"module": module.__name__}
    file = getattr(module, "__file__", None)
    if file:
        source["sha256"] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    files = [] if root is None else sorted(root.rglob("*.py"))
    if root is not None and len(files) <= _MOST_FILES:
        total = hashlib.sha256()
        for path in files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
        source["package"] = module.__name__.partition(".")[0]
        source["package_files"] = len(files)
        source["package_sha256"] = total.hexdigest()
    return source


def change(old: Any, new: Mapping[str, Any]) -> str | None:
    """What differs between two sources of a plugin, in a few words; None if nothing."""
    old = old if isinstance(old, dict) else {}
    texts = {
        "module": "another module",
        "sha256": "its file changed",
        "package_sha256": f"another file of the package {new.get('package')} changed",
        "arrays": "its data changed",
        "distribution": f"another version, {new.get('distribution')}, is installed",
    }
    for key, text in texts.items():
        if old.get(key) != new.get(key):
            return text
    return None
