"""A temporary folder beside the data, gone afterwards whatever happens."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".prepare-"
_YOUNG_SECONDS = 60.0


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A fresh folder inside ``root``, on the same file system, removed at the end.

    ``root`` and its parents are made as needed, and those that were made are taken
    away again if they are left empty. What a killed process left here is removed.

    Raises:
      OSError: ``root`` cannot be made or written.
    """
    made = _make(root)
    try:
        _remove_abandoned(root)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=root) as name:
            # The lock says that the owner lives; the kernel drops it at any death.
            descriptor = os.open(name, os.O_RDONLY)
            try:
                with suppress(OSError):  # some network file systems have no locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield Path(name)
            finally:
                os.close(descriptor)
    finally:
        with suppress(OSError):  # not empty: it holds what was asked for
            for folder in made:
                folder.rmdir()


def _make(root: Path) -> list[Path]:
    """Makes ``root`` and returns the folders that were not there, innermost first."""
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
            # A folder this young may belong to one that has yet to take its lock.
            if time.time() - leftover.stat().st_mtime < _YOUNG_SECONDS:
                continue
            descriptor = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(descriptor)
