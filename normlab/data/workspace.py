"""A temporary folder next to the data, which is always removed at the end."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

_PREFIX = ".prepare-"
# A file in the folder. Its lock shows that the owner is alive.
_LOCK = ".lock"
_YOUNG_SECONDS = 60.0


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A fresh folder inside ``root``, on the same file system, removed at the end.

    ``root`` and its parents are created as needed. If they are left empty, they are
    removed again. Whatever a killed process left in ``root`` is removed, too.

    Raises:
      OSError: ``root`` cannot be created or written.
    """
    made = _make(root)
    try:
        _remove_abandoned(root)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=root) as name:
            # The system drops the lock however the process ends.
            descriptor = os.open(Path(name) / _LOCK, os.O_RDWR | os.O_CREAT)
            try:
                with suppress(OSError):  # some network file systems have no locks
                    lock_descriptor(descriptor, blocking=False)
                yield Path(name)
            finally:
                os.close(descriptor)
    finally:
        with suppress(OSError):  # not empty: it has the prepared data
            for folder in made:
                folder.rmdir()


def _make(root: Path) -> list[Path]:
    """Creates ``root``, and returns the folders that did not exist, innermost first."""
    missing = []
    for folder in (root, *root.parents):
        if folder.exists():
            break
        missing.append(folder)
    root.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_abandoned(root: Path) -> None:
    for leftover in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            # The owner of such a young folder may not have locked it yet.
            if time.time() - leftover.stat().st_mtime < _YOUNG_SECONDS:
                continue
            if not _is_locked(leftover / _LOCK):
                shutil.rmtree(leftover, ignore_errors=True)


def _is_locked(path: Path) -> bool:
    """Whether a process holds the lock on ``path``.

    Raises:
      OSError: the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # its owner was killed before it made the file
        return False
    try:
        return not lock_descriptor(descriptor, blocking=False)
    finally:
        os.close(descriptor)  # Windows removes no file that is open
