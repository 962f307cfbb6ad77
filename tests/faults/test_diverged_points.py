"""Around a member that has diverged there is nothing to draw: one line says so."""

import contextlib
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from normlab.landscape import __main__ as command
from normlab.store.layout import RunPaths
from tests.called import called
from tests.landscape import made

pytestmark = pytest.mark.faults

MEMBER = 1  # of seed 0, at the second rate
KINDS = ("plane", "line", "between", "path")


def write(folder: Path, value: float, patch: pytest.MonkeyPatch, path: bool = True):
    """A run whose member's parameters hold ``value`` from step 8 on."""
    healthy = made.state

    def state(of, step):
        found = healthy(of, step)
        if step >= 8:
            found.params["conv1"]["kernel"][MEMBER, ..., 0] = value
            found.params["conv1"]["bias"][MEMBER] = value
        return found

    patch.setattr(made, "state", state)
    return made.write_run(folder / "run", made.cell("none"), path=path)


def call(run: RunPaths, *words: str, figures: bool = True) -> int:
    """The command's exit status; without ``figures`` it does all but draw them."""
    argv = [f"--run={run.root}", "--points=3", "--images=12", "--devices=1", *words]
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr(command, "draw_into", lambda *args: [run.figures])
        return called(command.main, command.flag_values(), argv, command.PROGRAM)


def switch(on: bool):
    return jax.debug_nans(True) if on else contextlib.nullcontext()


@pytest.mark.parametrize("value, debug", [(np.nan, True), (np.inf, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_its_parameters_are_not_finite(
    kind, value, debug, tmp_path, monkeypatch, capsys, tally
):
    tally["members that diverged"] += 1
    run = write(tmp_path, value, monkeypatch)
    words = [f"--kind={kind}", "--lr=0.1"]
    with switch(debug):
        assert call(run, *words) == 1
        lines = capsys.readouterr().err.splitlines()
        (cell,) = run.cells.iterdir()
        said = f"{cell}: the parameters of seed 0, lr 0.1 are not finite at step 12, "
        assert lines[-1].startswith(f"normlab.landscape: error: {said}")
        assert "Use an earlier --step or another member" in lines[-1]
        assert not (cell / "landscapes").exists() and not run.figures.exists()
        # As the line says: another member, or a step before.
        assert call(run, f"--kind={kind}", "--lr=0.01", figures=False) == 0
        if kind != "path":  # which needs three points
            assert call(run, *words, "--step=4", figures=False) == 0


def test_it_does_not_cost_the_others(tmp_path, monkeypatch, capsys):
    run = write(tmp_path, np.nan, monkeypatch)
    assert call(run, "--kind=line", "--lr=0.1,0.01") == 1
    lines = capsys.readouterr().err.splitlines()
    assert "the parameters of seed 0, lr 0.1 are not finite" in lines[-1]
    assert "lr 0.01" not in lines[-1]
    (table,) = run.figures.glob("*_line.csv")
    assert np.isfinite(pd.read_csv(table)["loss"]).all()


def test_where_a_line_begins(tmp_path, monkeypatch, capsys):
    run = write(tmp_path, np.nan, monkeypatch)
    words = ["--kind=between", "--lr=0.1", "--from_step=8", "--step=4"]
    assert call(run, *words) == 1
    assert "seed 0, lr 0.1 are not finite at step 8," in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["plane", "line"])
def test_a_checkpoint_alone(kind, tmp_path, monkeypatch, capsys):
    run = write(tmp_path, np.nan, monkeypatch, path=False)
    assert call(run, f"--kind={kind}", "--lr=0.1") == 1
    assert "seed 0, lr 0.1 are not finite at step 12," in capsys.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("kind", ["plane", "line", "path"])
def test_no_loss_is_finite(kind, debug, tmp_path, monkeypatch, capsys, tally):
    """Parameters so large that no product of them is a number, stored or computed."""
    tally["members that diverged"] += 1
    run = write(tmp_path, 3e38, monkeypatch)
    for _ in range(2):
        with switch(debug):
            assert call(run, f"--kind={kind}", "--lr=0.1") == 1
        line = capsys.readouterr().err.splitlines()[-1]
        said = "none, seed 0, lr 0.1: no loss is finite around step 12"
        assert line.startswith(f"normlab.landscape: error: {said}")
    assert not run.figures.exists()


def test_a_part_that_is_not_finite_is_drawn(tmp_path, monkeypatch, capsys):
    """Far from a healthy point losses may overflow: that is what the figure shows."""
    run = write(tmp_path, 0.1, monkeypatch)
    with jax.debug_nans(True):
        assert call(run, "--kind=line", "--span=1e6", "--lr=0.1") == 0
