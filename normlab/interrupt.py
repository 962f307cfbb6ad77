"""SIGTERM and SIGINT: a command ends in one line; what trains ends where it can.

The first signal is answered, and gives both back to the system: a second one ends the
process at once, wherever it is. No signal is touched that the process was started to
ignore (``nohup``), nor outside the main thread, where Python allows none to be.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# How many answers the main thread is in: a command's, and in it that of what trains.
_depth = 0


class Stopped(BaseException):
    """A signal asked the process to end: no error, like `KeyboardInterrupt`.

    Args:
      signum: the signal.
      where: how far the work got (``at step 12 of batch``), where that is known.
    """

    def __init__(self, signum: int, where: str = ""):
        name = signal.Signals(signum).name
        middle = f" {where}" if where else ""
        super().__init__(f"stopped by {name}{middle}; the same command goes on")
        self.signum = signum


class Note:
    """Whether a signal has come.

    Attributes:
      signum: the signal; None as long as none has come.
    """

    signum: int | None = None


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """While it lasts, a signal raises `Stopped` wherever the main thread is."""

    def stop(signum: int) -> None:
        raise Stopped(signum)

    with _answering(stop):
        yield


@contextlib.contextmanager
def noting() -> Iterator[Note]:
    """While it lasts, a signal is noted, for the work to end where it can go on.

    Raises:
      Stopped: at the end, if a signal came and nobody has raised it; also in place of
        an error, which the same command will meet again.
    """
    note = Note()

    def remember(signum: int) -> None:
        note.signum = signum

    try:
        with _answering(remember):
            yield note
    except Exception as error:
        if note.signum is not None:
            raise Stopped(note.signum) from error
        raise
    if note.signum is not None:
        raise Stopped(note.signum)


@contextlib.contextmanager
def _answering(answer: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {}
    for signum in _SIGNALS:
        handler = signal.getsignal(signum)
        if handler not in (signal.SIG_IGN, None):
            old[signum] = handler

    answered = False

    def handle(signum: int, _: object) -> None:
        nonlocal answered
        answered = True
        for other in old:
            signal.signal(other, signal.SIG_DFL)
        answer(signum)

    global _depth
    try:
        _depth += 1
        for signum in old:
            signal.signal(signum, handle)
        yield
    finally:
        _depth -= 1
        for signum, handler in old.items():
            # What is around this one is done with, too: a second signal is not its.
            over = answered and _depth > 0
            signal.signal(signum, signal.SIG_DFL if over else handler)
