"""``python -m normlab.tensorboard`` and ``normlab.sweep --tensorboard``."""

import contextlib
import sys
from types import SimpleNamespace

import pytest

from normlab.api import sweep as steps
from normlab.sweep import __main__ as sweep
from normlab.tensorboard import __main__ as tensorboard
from tests.called import called
from tests.store.handmade import make_cell, write_run

NEEDED = "needs the package tensorboardX: pip install 'normlab[tensorboard]'"


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", [make_cell(lrs=(0.1,), seeds=2)]).root


def call(capsys, program, words) -> tuple[int, str, str]:
    status = called(program.main, program.flag_values(), words)
    return status, *capsys.readouterr()


def export(capsys, *words: str) -> tuple[int, str, str]:
    return call(capsys, tensorboard, words)


def test_it_exports(run, capsys, tmp_path):
    pytest.importorskip("tensorboardX")
    done = export(capsys, f"--run={run}")
    assert done == (0, f"tensorboard: {run}/tensorboard\n", "")
    other = tmp_path / "other place"
    done = export(capsys, f"--run={run}", f"--out={other}")
    assert done == (0, f"tensorboard: {other}\n", "")
    assert len(list(other.rglob("*tfevents*"))) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "pass --run=RUN"),
        (["--run={run}/cells"], "is not a run directory"),
        (["--run={run}", "--out={run}/flags.txt"], "choose another --out"),
        (["--run={run}", "--out={run}/flags.txt/x"], "cannot write {run}/flags.txt/x"),
        (["--run={run}", "again"], "unexpected word 'again'"),
    ],
)
def test_a_mistake_is_one_line(words, said, run, capsys):
    pytest.importorskip("tensorboardX")
    status, out, err = export(capsys, *(word.format(run=run) for word in words))
    assert status == 1 and out == ""
    assert err.startswith("it: error: ") and err.count("\n") == 1
    assert said.format(run=run) in err


def test_without_the_package(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    status, out, err = export(capsys, f"--run={run}")
    assert (status, out) == (1, "") and err.count("\n") == 1 and NEEDED in err
    assert not (run / "tensorboard").exists()


@pytest.fixture
def planned(monkeypatch):
    """A sweep of one cell that is complete; and whether it was planned."""
    plans = []
    cell = make_cell(lrs=(0.1,), seeds=2)

    @contextlib.contextmanager
    def open_engine(work):
        plans.append(work)
        yield SimpleNamespace(plan="plan", device="cpu")

    monkeypatch.setattr(steps, "sweep_cells", lambda *args: (cell,))
    monkeypatch.setattr(steps, "open_engine", open_engine)
    monkeypatch.setattr(steps, "draw_all", lambda sources, folder: ([], []))
    return plans


def sweep_again(capsys, run, *words: str) -> tuple[int, str, str]:
    words = ("--steps=20", f"--out={run}", "--compilation_cache=none", *words)
    return call(capsys, sweep, words)


def test_a_sweep_exports_at_its_end_and_when_it_is_complete(run, capsys, planned):
    pytest.importorskip("tensorboardX")
    folder = run / "tensorboard"
    status, out, _ = sweep_again(capsys, run)
    assert status == 0 and "tensorboard" not in out and not folder.exists()
    (run / "summary.csv").unlink()
    for complete in (False, True):
        status, out, _ = sweep_again(capsys, run, "--tensorboard")
        assert status == 0 and ("complete: " in out) == complete
        assert f"tensorboard: {folder}" in out.splitlines()
        (folder / "batch" / "lr 0.1, seed 1" / "events.out.tfevents.normlab").unlink()


def test_a_sweep_asks_for_the_package_first(run, capsys, planned, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    status, out, err = sweep_again(capsys, run, "--tensorboard")
    assert (status, out, planned) == (1, "", [])
    assert err.count("\n") == 1 and NEEDED in err
    status, *_ = sweep_again(capsys, run)
    assert status == 0 and len(planned) == 1  # who does not ask does not need it
