"""Allows one writer per cell, and shows whether another process is writing."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import lock_descriptor

from normlab.errors import Unwritable, UserError

# `is_held` takes the lock for a moment to test it, so a writer tries several times. A
# reader tries twice, because the first may have met another reader.
_WRITER_TRIES, _READER_TRIES, _PAUSE_SECONDS = 5, 2, 0.02


class Busy(UserError):
    """Another process is writing, and may continue to do so."""


@contextlib.contextmanager
def only_writer(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds an exclusive lock on the file ``path``.

    It is the system's own lock (flock, or LockFileEx on Windows). The system drops it
    when the process ends, however it ends, so a killed run leaves nothing to clean up.

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
        try:
            taken = _taken(descriptor, None if wait else _WRITER_TRIES)
        except OSError as error:  # a network file system that is mounted without locks
            raise Unwritable(
                f"cannot lock {path}: {error.strerror}; --out must be on a file system "
                "with locks"
            ) from error
        if not taken:
            raise Busy(
                f"another process is writing {path.parent}; wait for it, or choose "
                "another --out"
            )
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, tries: int | None) -> bool:
    """Whether the lock was taken, in so many tries; None waits as long as it takes.

    Raises:
      OSError: the file system has no locks.
    """
    if tries is None:
        return lock_descriptor(descriptor, poll_interval=_PAUSE_SECONDS)
    for left in reversed(range(tries)):
        if lock_descriptor(descriptor, blocking=False):
            return True
        if left:
            time.sleep(_PAUSE_SECONDS)
    return False


def is_held(path: Path) -> bool:
    """Whether some process is in `only_writer` on ``path``. Writes nothing.

    A process on another machine counts if the file system shares its locks.
    """
    try:
        descriptor = _existing(path)
    except OSError:
        return False
    try:
        return not _taken(descriptor, _READER_TRIES)
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)


def _existing(path: Path) -> int:
    """A descriptor of the file ``path``, writable if that is allowed.

    A network file system gives exclusive locks only to those who may write.
    """
    try:
        return os.open(path, os.O_RDWR)
    except OSError:
        return os.open(path, os.O_RDONLY)
