"""One writer a cell, and nothing to clean up after one that was killed."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from normlab.errors import Unwritable, UserError
from normlab.store import lock
from normlab.store.lock import is_held, only_writer

HOLD = """
import sys, time
from pathlib import Path
from normlab.store.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

TRY = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(3)
"""


def can_lock(path) -> bool:
    done = subprocess.run([sys.executable, "-c", TRY, str(path)], timeout=600)
    assert done.returncode in (0, 3)
    return done.returncode == 0


@pytest.mark.faults
def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    path = tmp_path / "cell" / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refusal = r"another process is writing .*cell; wait for it, or choose another"
        with pytest.raises(UserError, match=refusal), only_writer(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=600)
        with only_writer(path):
            pass
    finally:
        holder.kill()
        holder.communicate(timeout=600)


def test_it_is_held_within_and_free_after(tmp_path):
    path = tmp_path / "lock"
    with only_writer(path):
        assert not can_lock(path)
        with pytest.raises(UserError), only_writer(path):
            pass
    assert can_lock(path)


def test_an_error_frees_it(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), only_writer(path):
        raise ZeroDivisionError
    with only_writer(path):
        pass


def test_it_leaves_no_descriptor_open(tmp_path):
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with only_writer(tmp_path / "lock"):
            pass
    assert len(os.listdir("/dev/fd")) == before


def test_two_cells_at_once(tmp_path):
    with only_writer(tmp_path / "a" / "lock"), only_writer(tmp_path / "b" / "lock"):
        pass


def test_a_file_in_place_of_the_cell(tmp_path):
    (tmp_path / "cell").touch()
    refusal = pytest.raises(UserError, match="cannot write .*cell: ")
    with refusal, only_writer(tmp_path / "cell" / "lock"):
        pass


@pytest.mark.parametrize("wait", [False, True])
def test_a_file_system_without_locks_is_told(wait, tmp_path, monkeypatch):
    def flock(descriptor, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(Unwritable, match="No locks available; --out must be on"),
        only_writer(tmp_path / "lock", wait=wait),
    ):
        pass


def test_who_waits_gets_it_when_the_holder_ends(tmp_path):
    path = tmp_path / "lock"
    order = []

    def hold() -> None:
        with only_writer(path):
            held.set()
            time.sleep(0.1)
            order.append("first")

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(timeout=600)
    with only_writer(path, wait=True):
        order.append("second")
    holder.join(timeout=600)
    assert order == ["first", "second"]


def test_looking_changes_nothing(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path) and not path.exists()
    with only_writer(path):
        assert is_held(path)
    before = path.stat()
    assert not is_held(path)
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


def test_a_reader_that_met_another_reader_looks_again(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    with only_writer(path):
        pass
    answers = iter([False, True])
    monkeypatch.setattr(
        lock, "lock_descriptor", lambda descriptor, blocking: next(answers)
    )
    assert not is_held(path)
    assert list(answers) == []
