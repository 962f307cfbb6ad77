"""Handles SIGTERM and SIGINT: training stops at a step from which it can resume.

The first signal is handled, and restores the system's handlers: a second signal ends
the process at once. (Outside a command, `noting` restores those of the program.)
Signals that the process was started to ignore (``nohup``) stay ignored. Outside the
main thread nothing changes, because Python allows no signal handlers there.

A command handles signals from its first import (`at_start`) to its end (`at_end`). Only
Python's own start, some 20 ms, comes before.
"""

import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
import weakref
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# The file of the functions that run imports.
_IMPORT = "<frozen importlib._bootstrap>"
_MOMENT_SECONDS = 0.01
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Commands that resume from what they have stored. The others start again.
_RESUMED = ("normlab.sweep", "normlab.landscape")
# How many handlers are nested in the main thread: a command's, and training's in it.
_depth = 0


class Stopped(BaseException):
    """A signal asked the process to end. Like `KeyboardInterrupt`, it is not an error.

    Args:
      signum: the signal.
      where: how far the work got (``at step 12 of batch``), if that is known.
    """

    def __init__(self, signum: int, where: str = ""):
        name = signal.Signals(signum).name
        middle = f" {where}" if where else ""
        super().__init__(f"stopped by {name}{middle}")
        self.signum = signum

    def line(self, program: str) -> str:
        """The last line that the command ``program`` prints."""
        again = ". Run the same command again to continue." * (program in _RESUMED)
        return f"{program}: {self}{again}"


class Cancelled(BaseException):
    """A function that the caller passed raised an error, which ends the run.

    Like `KeyboardInterrupt`, it is no failure of the work.

    Args:
      error: what the function raised.
    """

    def __init__(self, error: BaseException):
        super().__init__(repr(error))
        self.error = error


class Note:
    """Records whether the work is to stop.

    Attributes:
      signum: the signal, or None if none has come.
      error: what a function of the caller's raised, or None.
    """

    signum: int | None = None
    error: BaseException | None = None

    @property
    def is_stopping(self) -> bool:
        return self.signum is not None or self.error is not None

    @contextlib.contextmanager
    def keeping_error(self) -> Iterator[None]:
        """Keeps an error that is raised inside, until the work can stop."""
        try:
            yield
        except BaseException as error:
            self.error = error

    def stop(self, where: str = "") -> None:
        """Ends the work, if it is to stop.

        Raises:
          Stopped: a signal came.
          Cancelled: else, if an error was kept.
        """
        if self.signum is not None:
            raise Stopped(self.signum, where)
        if self.error is not None:
            raise Cancelled(self.error)


def at_start(module: str) -> None:
    """Handles signals while a command imports what it needs.

    No work has begun, so a signal ends the process at once. It prints the same line and
    exits with the same status as later.

    Args:
      module: the word of the command line that names the module. Nothing is done for
        other programs, which may import normlab and have handlers of their own.
    """
    program = module.removeprefix("-m")
    if not program.startswith("normlab."):
        return

    def stop(signum: int, _: object) -> None:
        with contextlib.suppress(OSError):  # standard error may be closed
            os.write(2, f"{Stopped(signum).line(program)}\n".encode())
        os._exit(128 + signum)

    _handle(stop)
    # atexit calls the first function last. Python removes all handlers after that.
    atexit.register(_handle, signal.SIG_IGN)


def at_end(status: int) -> None:
    """Makes a signal end the process with ``status``, because its work is done."""

    def leave(*_: object) -> None:
        with contextlib.suppress(Exception):  # standard output may be closed
            sys.stdout.flush()
        os._exit(status)

    _handle(leave)


def _handle(handler: Callable[[int, object], None] | signal.Handlers) -> None:
    for signum in _answerable():
        signal.signal(signum, handler)


def _answerable() -> dict[int, Any]:
    """The signals that may be handled here, and their present handlers."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    now = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    return {k: v for k, v in now.items() if v not in (signal.SIG_IGN, None)}


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Inside this context, a signal raises `Stopped` in the main thread.

    It is raised after imports and callbacks have ended, because the compiled code that
    calls them would lose the exception or crash.
    """
    came: int | None = None

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal came
        came = signum
        if _is_called_back(frame):
            _in_a_moment(lambda _, frame: stop(signum, frame))
        else:
            raise Stopped(signum)

    with _answering(stop):
        try:
            yield
        finally:
            if came is not None:
                _not_any_more()
    if came is not None:
        raise Stopped(came)


def _in_a_moment(handler: Callable[[int, FrameType | None], None]) -> None:
    """Lets the main thread handle another signal, a moment from now."""
    if sys.platform == "win32":  # it has no timers that send signals
        signal.signal(signal.SIGBREAK, handler)
        again = threading.Timer(_MOMENT_SECONDS, interrupt_main, (signal.SIGBREAK,))
        again.daemon = True
        again.start()
    else:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, _MOMENT_SECONDS)


def _not_any_more() -> None:
    """Cancels `_in_a_moment`."""
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, signal.SIG_DFL)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _is_called_back(frame: FrameType | None) -> bool:
    """Whether ``frame`` is in an import, a finalizer or the garbage collector."""
    collector = {getattr(one, "__code__", None) for one in gc.callbacks}
    while frame is not None:
        code = frame.f_code
        if code in collector or code.co_name == "__del__":
            return True
        if code.co_filename in (_IMPORT, weakref.__file__):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def noting() -> Iterator[Note]:
    """Inside this context a signal is noted, so that work can stop where it can resume.

    In a program that is not one of normlab's commands, a second signal is the
    program's: in a notebook, it raises `KeyboardInterrupt` and does not end the kernel.

    Raises:
      Stopped: at the end, if a signal came and no one has raised it yet. It replaces an
        error, because the same command will meet that error again.
      Cancelled: the same for an error that was kept.
    """
    note = Note()

    def remember(signum: int, _: object) -> None:
        note.signum = signum

    try:
        with _answering(remember, second=signal.SIG_DFL if _depth else None):
            yield note
    except Exception as error:
        if note.signum is not None:
            raise Stopped(note.signum) from error
        raise
    note.stop()


@contextlib.contextmanager
def _answering(
    answer: Callable[[int, FrameType | None], None],
    second: signal.Handlers | None = signal.SIG_DFL,
) -> Iterator[None]:
    """Inside this context, ``answer`` handles the first signal.

    Args:
      second: handles the next one; if None, what handled signals before.
    """
    old = _answerable()
    if not old:
        yield
        return
    answered = False

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal answered
        answered = True
        for other, handler in old.items():
            signal.signal(other, handler if second is None else second)
        answer(signum, frame)

    global _depth
    try:
        _depth += 1
        for signum in old:
            signal.signal(signum, handle)
        yield
    finally:
        _depth -= 1
        for signum, handler in old.items():
            # The outer context is ending, too, so it must not handle a second signal.
            over = answered and _depth > 0
            signal.signal(signum, signal.SIG_DFL if over else handler)
