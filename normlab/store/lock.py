"""One writer a cell."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from normlab.errors import UserError


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on the file ``path``.

    The kernel drops it when the process ends, however it ends, so a killed run
    leaves nothing to clean up.

    Raises:
      UserError: another process holds it, or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write {path.parent}: {reason}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another process is writing {path.parent}; wait for it, or choose "
                "another --out"
            ) from error
        yield
    finally:
        os.close(descriptor)
