"""Allows one writer per cell, and shows whether another process is writing."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from normlab.errors import Unwritable, UserError

# `is_held` takes a lock for a moment to test it, so a writer tries several times.
_TRIES, _PAUSE_SECONDS = 5, 0.02


class Busy(UserError):
    """Another process is writing, and may continue to do so."""


@contextlib.contextmanager
def only_writer(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds an exclusive lock on the file ``path``.

    The kernel drops it when the process ends, however it ends, so a killed run
    leaves nothing to clean up.

    Args:
      wait: whether to wait until the lock is free.

    Raises:
      Busy (a UserError): another process holds it.
      Unwritable (a UserError): the file cannot be created or cannot be locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        reason = error.strerror or error
        raise Unwritable(f"cannot write {path.parent}: {reason}") from error
    try:
        if not _taken(descriptor, path, wait):
            raise Busy(
                f"another process is writing {path.parent}; wait for it, or choose "
                "another --out"
            )
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, path: Path, wait: bool) -> bool:
    """Whether the exclusive lock was taken."""
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            if left:
                time.sleep(_PAUSE_SECONDS)
        except OSError as error:  # a network file system that is mounted without locks
            raise Unwritable(
                f"cannot lock {path}: {error.strerror}; --out must be on a file system "
                "with locks"
            ) from error
    return False


def is_held(path: Path) -> bool:
    """Whether some process is in `only_writer` on ``path``. Writes nothing.

    A process on another machine counts if the file system shares its locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False
