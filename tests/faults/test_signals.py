"""SIGTERM and SIGINT: stored up to where it stood, and one line that says so."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from absl.flags import FlagValues

from normlab.interrupt import Stopped, noting, raising
from normlab.landscape import __main__ as landscape
from normlab.store.layout import numbered
from normlab.store.run import cell_status
from normlab.sweep.engines import inline
from tests import tiny
from tests.called import called
from tests.faults import small
from tests.landscape import made
from tests.marks import slow

AGAIN = ". Run the same command again to continue."
pytestmark = pytest.mark.faults
BOTH = [signal.SIGTERM, signal.SIGINT]


class Signalled(tiny.Silent):
    """Sends itself a signal in the call of `advance` that follows ``calls`` of them."""

    def __init__(self, signum: int, calls: int):
        super().__init__()
        self._signum, self._left = signum, calls

    def advance(self, steps, losses_M):
        super().advance(steps, losses_M)
        if self._left == 0:
            os.kill(os.getpid(), self._signum)
        self._left -= 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    paths = small.begin(tmp_path_factory.mktemp("whole") / "run")
    small.go_on(paths)
    return paths


@pytest.mark.parametrize(
    "signum, calls, step",
    # Nothing is due at step 1, an evaluation at 5, a point of the path at 6.
    [
        (signal.SIGTERM, 0, 1),
        (signal.SIGINT, 3, 5),
        slow(signal.SIGTERM, 4, 6),
    ],
)
def test_it_goes_on_from_the_step_where_it_stood(
    signum, calls, step, whole, tmp_path, tally
):
    tally["signals"] += 1
    paths = small.begin(tmp_path / "run")
    text = f"stopped by {signal.Signals(signum).name} at step {step} of batch$"
    before = [signal.getsignal(other) for other in BOTH]
    with pytest.raises(Stopped, match=text) as caught:
        small.go_on(paths, Signalled(signum, calls))
    assert caught.value.signum == signum
    assert [signal.getsignal(other) for other in BOTH] == before
    own = small.own(paths)
    assert cell_status(own) == "running"
    assert max(numbered(own.checkpoints)) == step
    small.go_on(paths)
    assert json.loads(own.config.read_text())["steps_run"] == 14 - step
    small.same_run(paths, whole)


def test_stopped_again_before_anything_was_done(whole, tmp_path, monkeypatch, tally):
    tally["signals"] += 2
    paths = small.begin(tmp_path / "run")
    with pytest.raises(Stopped):
        small.go_on(paths, Signalled(signal.SIGTERM, 2))
    saved = list(numbered(small.own(paths).checkpoints))

    class AtOnce(tiny.Silent):
        def begin(self, *_):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="at step"):
        small.go_on(paths, AtOnce())
    assert list(numbered(small.own(paths).checkpoints)) == saved
    small.go_on(paths)
    small.same_run(paths, whole)


def test_a_signal_in_the_last_call_finishes_the_cell(whole, tmp_path, tally):
    tally["signals"] += 1
    paths = small.begin(tmp_path / "run")

    class AtTheEnd(tiny.Silent):
        def end(self):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        small.go_on(paths, AtTheEnd())
    assert cell_status(small.own(paths)) == "complete"
    small.same_run(paths, whole)


@pytest.mark.parametrize("signum", BOTH)
def test_a_command_ends_in_one_line(signum, tmp_path, monkeypatch, capsys, tally):
    tally["signals"] += 1
    out = tmp_path / "run"
    advance = inline.SweepProgress.advance

    def stop(self, steps, losses_M):
        advance(self, steps, losses_M)
        os.kill(os.getpid(), signum)

    with monkeypatch.context() as patch:
        patch.setattr(inline.SweepProgress, "advance", stop)
        assert small.sweep(out) == 128 + signum
    name = signal.Signals(signum).name
    said = f"normlab.sweep: stopped by {name} at step 1 of batch. Run the same command"
    assert capsys.readouterr().err.splitlines()[-1].startswith(said)
    assert small.sweep(out) == 0
    assert "continues from step 1 of 6" in capsys.readouterr().err


@pytest.mark.parametrize("signum", BOTH)
def test_so_does_any_other(signum, capsys, tally):
    tally["signals"] += 1

    def main(_) -> None:
        os.kill(os.getpid(), signum)
        raise AssertionError

    assert called(main, FlagValues(), [], "normlab.analysis") == 128 + signum
    name = signal.Signals(signum).name
    said = f"normlab.analysis: stopped by {name}\n"
    assert capsys.readouterr().err == said


def test_a_landscape_keeps_its_tiles(tmp_path, monkeypatch, capsys, tally):
    tally["signals"] += 1
    run = made.write_run(tmp_path / "run", made.cell("batch"))
    words = ["--run=" + str(run.root), "--kind=plane", "--points=5", "--images=12"]
    words += ["--devices=1", "--seed=0", "--lr=0.01", "--member_chunk=10"]
    show = landscape.CountProgress.__call__

    def stop(self, done, total):
        show(self, done, total)
        if done:
            os.kill(os.getpid(), signal.SIGTERM)

    def call() -> int:
        values = landscape.flag_values()
        return called(landscape.main, values, words, landscape.PROGRAM)

    with monkeypatch.context() as patch:
        patch.setattr(landscape.CountProgress, "__call__", stop)
        assert call() == 143
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"normlab.landscape: stopped by SIGTERM{AGAIN}"
    assert call() == 0
    assert re.search(r"goes on from point \d+ of 25", capsys.readouterr().err)


# The second signal, in a process that may die of it.
TWICE = """
import os, signal, sys, time
from normlab.interrupt import {kind}
with {kind}():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
    except BaseException:
        pass
    print("still here", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", [noting.__name__, raising.__name__])
def test_a_second_signal_ends_at_once(kind, tally):
    tally["signals"] += 2
    code = TWICE.format(kind=kind)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600
    )
    assert done.stdout == "still here\n"
    assert done.returncode == -signal.SIGTERM


NESTED = """
import os, signal, time
from normlab.interrupt import noting, raising
with raising(), noting():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    print("still here", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""


def test_a_second_ctrl_c_ends_a_command_at_once(tally):
    """Outside a command it raises `KeyboardInterrupt` (tests/api)."""
    tally["signals"] += 2
    words = [sys.executable, "-c", NESTED]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert (done.stdout, done.returncode) == ("still here\n", -signal.SIGINT)


def test_what_nohup_ignores_is_ignored():
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noting() as note:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGINT)
        assert note.signum is None
    finally:
        signal.signal(signal.SIGINT, old)


# Where compiled code calls Python, and an exception would be lost, or worse.
CALLED_BACK = {
    "import": ("{kill}; done = [1]", "import called"),
    "collector": (
        "import gc; once = iter([1]); done = []\n"
        "gc.callbacks.append(lambda *_: [done.append({kill}) for _ in once])",
        "import called, gc; gc.collect()",
    ),
    "finalizer": (
        "done = []\nclass Last:\n    def __del__(self): {kill}; done.append(1)",
        "import called; called.Last()",
    ),
    "weak reference": (
        "import weakref\nclass One: pass\none = One(); done = []\n"
        "def back(*_): {kill}; done.append(1)\nweakref.finalize(one, back)",
        "import called; del called.one",
    ),
}
RAISING = """
import sys, time
from normlab.interrupt import Stopped, raising
try:
    with raising():
        {body}
        time.sleep(60)
except Stopped as stop:
    print(sys.modules["called"].done != [], stop.signum)
"""


@pytest.mark.parametrize("where", CALLED_BACK)
def test_a_signal_waits_for_what_compiled_code_calls(where, tmp_path, tally):
    tally["signals"] += 1
    module, body = CALLED_BACK[where]
    kill = f"__import__('os').kill(__import__('os').getpid(), {int(signal.SIGTERM)})"
    (tmp_path / "called.py").write_text(module.replace("{kill}", kill))
    done = subprocess.run(
        [sys.executable, "-c", RAISING.format(body=body)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.stdout, done.stderr) == (f"True {int(signal.SIGTERM)}\n", "")


def test_a_signal_that_is_lost_counts_at_the_end(tally):
    tally["signals"] += 1
    lost = contextlib.suppress(BaseException)  # as compiled code may do
    with pytest.raises(Stopped, match="SIGTERM"), raising(), lost:
        os.kill(os.getpid(), signal.SIGTERM)
