"""`normlab.run`: the command's numbers, rows as they come, and a clean end."""

import contextlib
import os
import signal
import threading

import numpy as np
import pandas as pd
import pytest

import normlab
from normlab.api import call
from normlab.api import sweep as layer
from normlab.store import RunPaths, load
from normlab.store.layout import read_json
from normlab.store.run import cell_status
from normlab.sweep import __main__ as command
from normlab.sweep import attempt
from tests.api import small
from tests.called import called


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> "normlab.Run":
    return small.run(tmp_path_factory.mktemp("whole") / "run")


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@contextlib.contextmanager
def no_figures(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(layer, "draw_all", lambda *args: ([], []))
        yield


def test_the_command_computes_the_same_bits(whole, tmp_path, monkeypatch, capsys):
    with no_figures(monkeypatch):
        words = small.words(tmp_path / "run")
        assert called(command.main, command.flag_values(), words) == 0
    same(load(tmp_path / "run"), whole.frame)
    configs = [
        read_json(path / "sweep.json") for path in (whole.path, tmp_path / "run")
    ]
    assert configs[0]["config"] == configs[1]["config"]
    assert whole.complete and "2 of 2 cells complete" in repr(whole)


def test_the_command_finishes_a_run_of_pythons(tmp_path, monkeypatch, capsys):
    run = small.run(tmp_path / "run", norm="none")
    assert not (run.path / "summary.csv").exists()
    words = [*small.words(run.path), "--norm=none"]
    with no_figures(monkeypatch):
        assert called(command.main, command.flag_values(), words) == 0
    assert (run.path / "summary.csv").exists()
    said = capsys.readouterr()
    assert "final test_accuracy" in said.out and "compiled" not in said.err


def test_one_value_is_an_axis(tmp_path):
    lr = np.float32(0.1)
    run = small.run(tmp_path / "run", norm="batch", lr=lr, num_seeds=4, steps=1)
    assert set(run.frame["norm"]) == {"batch"} and set(run.frame["lr"]) == {0.1}


def evaluated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["test_loss"].notna()]


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows that a function was given, in the order of `Run.frame`."""
    rows = pd.concat(parts, ignore_index=True)
    order = {cell: i for i, cell in enumerate(dict.fromkeys(rows["cell"]))}
    rows = rows.assign(order=rows["cell"].map(order))
    rows = rows.sort_values(["order", "member", "step"], ignore_index=True)
    return rows.drop(columns="order")


def test_rows_come_as_they_are_stored(tmp_path, whole):
    parts: list[pd.DataFrame] = []
    run = small.run(tmp_path / "run", on_eval=parts.append)
    same(run.frame, whole.frame)  # watching changes nothing
    assert [set(part["step"]) for part in parts] == [{0}, {3}, {6}] * 2
    rows, stored = joined(parts), evaluated(run.frame)
    assert set(run.frame.columns) - set(rows.columns) == {
        *("batch_loss", "batch_accuracy", "gradient_norm", "lr_step", "diverged")
    }
    same(rows, stored[list(rows.columns)].reset_index(drop=True))


class Enough(Exception):
    pass


class Until:
    """Keeps rows, and raises `Enough` with those of ``step`` of the second cell."""

    def __init__(self, step: int, error: BaseException | None = None):
        self.parts: list[pd.DataFrame] = []
        self._step, self._error = step, error or Enough()

    def __call__(self, rows: pd.DataFrame) -> None:
        self.parts.append(rows)
        if rows["norm"].iloc[0] == "batch" and rows["step"].iloc[0] == self._step:
            raise self._error


@pytest.mark.parametrize(("step", "saved"), [(0, 1), (3, 4), (6, 6)])
def test_an_error_ends_the_run_and_nothing_is_lost(step, saved, tmp_path, whole):
    out, until = tmp_path / "run", Until(step)
    with pytest.raises(Enough):
        small.run(out, on_eval=until)
    paths = RunPaths.at(out)
    cell = paths.cell(whole.frame["cell"].unique()[1])
    assert cell_status(cell) == ("complete" if step == 6 else "running")
    assert [int(path.name) for path in cell.checkpoints.iterdir()] == [saved]
    rest: list[pd.DataFrame] = []
    run = small.run(out, on_eval=rest.append)
    same(run.frame, whole.frame)
    rows = joined([*until.parts, *rest])
    assert len(until.parts) == 4 + step // 3 and len(rest) == 2 - step // 3
    stored = evaluated(run.frame)
    same(rows, stored[list(rows.columns)].reset_index(drop=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_so_does_what_is_no_exception(error, tmp_path, whole):
    with pytest.raises(type(error)) as caught:
        small.run(tmp_path / "run", on_eval=Until(3, error))
    assert caught.value is error
    same(small.run(tmp_path / "run").frame, whole.frame)


def test_ctrl_c_stores_the_state(tmp_path, whole):
    def interrupt(rows: pd.DataFrame) -> None:
        if rows["step"].iloc[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT at step 4 of none"):
        small.run(tmp_path / "run", on_eval=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    cell = RunPaths.at(tmp_path / "run").cell(whole.frame["cell"].iloc[0])
    assert [path.name for path in cell.checkpoints.iterdir()] == ["4"]
    same(small.run(tmp_path / "run").frame, whole.frame)


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    """Nor does it end the process, which may be a notebook's."""

    def interrupt(rows: pd.DataFrame) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise Enough

    with pytest.raises(KeyboardInterrupt):
        small.run(tmp_path / "run", on_eval=interrupt)


def test_sigterm_is_the_programs(tmp_path, whole):
    came: list[int] = []
    old = signal.signal(signal.SIGTERM, lambda signum, _: came.append(signum))
    try:
        with pytest.raises(BaseException, match="stopped by SIGTERM"):
            small.run(
                tmp_path / "run",
                on_eval=lambda rows: os.kill(os.getpid(), signal.SIGTERM),
            )
    finally:
        signal.signal(signal.SIGTERM, old)
    assert came == [signal.SIGTERM]
    same(small.run(tmp_path / "run").frame, whole.frame)


def test_a_complete_run_is_not_planned_again(whole, monkeypatch, capsys):
    monkeypatch.setattr(layer, "open_engine", None)
    seen: list[pd.DataFrame] = []
    again = small.run(whole.path, progress=True, on_eval=seen.append)
    assert (
        capsys.readouterr().out == f"complete: nothing is left to run in {whole.path}\n"
    )
    assert not seen
    same(again.frame, whole.frame)


def test_another_configuration_is_refused(whole):
    with pytest.raises(normlab.UserError, match="--lr: .*choose another --out"):
        small.run(whole.path, lr=0.5)


def test_it_runs_in_a_thread(tmp_path, whole):
    found = []
    thread = threading.Thread(target=lambda: found.append(small.run(tmp_path / "run")))
    thread.start()
    thread.join()
    same(found[0].frame, whole.frame)


def test_cells_that_fail(tmp_path, monkeypatch, whole):
    run_cell = attempt.run_cell

    def breaks(plan, *args):
        if plan.cell.config.norm == "batch":
            raise ZeroDivisionError("by\nzero")
        return run_cell(plan, *args)

    with monkeypatch.context() as patch:
        patch.setattr(attempt, "run_cell", breaks)
        with pytest.raises(normlab.UserError) as caught:
            small.run(tmp_path / "run")
    assert str(caught.value) == (
        "1 of 2 cells failed: batch: ZeroDivisionError: by zero. After fixing this, "
        "run the same command again"
    )
    half = normlab.read_run(tmp_path / "run")
    assert set(half.frame["norm"]) == {"none"} and not half.complete
    same(small.run(tmp_path / "run").frame, whole.frame)


def test_what_it_says(tmp_path, capsys):
    small.run(tmp_path / "silent", norm="none", steps=1)
    assert capsys.readouterr() == ("", "")
    small.run(tmp_path / "run", norm="none", steps=1, progress=True)
    out, err = capsys.readouterr()
    assert out.startswith("plan: 4 networks (members) in 1 program (cell), 4 steps of ")
    assert out.endswith(f"out: {tmp_path / 'run'}\n") and "none: done" in err


def test_a_plan_writes_nothing(tmp_path, capsys):
    run = small.run(tmp_path / "run", dry_run=True, progress=True)
    assert "in 2 programs (cells)" in capsys.readouterr().out
    assert not run.path.exists() and "nothing is stored" in repr(run)


def test_a_plan_says_what_is_trained_already(tmp_path, capsys):
    small.run(tmp_path / "run", norm="none", steps=1)
    more = {"num_seeds": 3, "extend": True, "dry_run": True, "progress": True}
    small.run(tmp_path / "run", steps=1, **more)
    said = capsys.readouterr().out
    assert "plan: 12 networks (members) in 3 programs (cells)" in said
    assert "\ntrained already: 4 networks\nout: " in said
    # Their rest is not trained yet.
    small.run(tmp_path / "run", norm="none", **more)
    assert "already" not in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"num_seeds": 3}, {"seed": 7}, {"lr": 0.5}])
def test_a_plan_tells_of_a_run_of_another_configuration(tmp_path, capsys, other):
    """Its cells have the same names, so they would pass for trained ones."""
    small.run(tmp_path / "run", norm="none", steps=1)
    asked = {"norm": "none", "steps": 1, "progress": True, **other}
    with pytest.raises(normlab.UserError, match="has another configuration"):
        small.run(tmp_path / "run", **asked)
    assert capsys.readouterr().out == ""
    small.run(tmp_path / "run", dry_run=True, **asked)
    said = capsys.readouterr().out
    assert "already" not in said and "out: " not in said
    assert "has another configuration" in said


def test_a_part_of_the_cells(tmp_path, capsys, whole):
    run = small.run(tmp_path / "run", shard="0/2", progress=True)
    assert capsys.readouterr().out.endswith("\n1 of 2 cells complete, 1 waiting, 50%\n")
    assert not run.complete
    small.run(tmp_path / "run", status=True, progress=True)
    assert "1 of 2 cells complete" in capsys.readouterr().out
    same(small.run(tmp_path / "run", shard="1/2").frame, whole.frame)


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = {k: v for k, v in small.SETTINGS.items() if k != "norm"}
    run = normlab.run(norm="none", dry_run=True, progress=False, **settings)
    assert run.path == tmp_path / "runs" / "sweep"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_eval": 5}, "normlab.run: on_eval must be a function of a table, not 5"),
        (
            {"on_eval": print, "engine": "ray"},
            "normlab.run: on_eval needs engine='inline', because engine='ray' trains "
            "in other processes",
        ),
    ],
)
def test_a_wrong_callback(given, message, tmp_path):
    with pytest.raises(normlab.UserError) as caught:
        small.run(tmp_path / "run", **given)
    assert str(caught.value) == message and not (tmp_path / "run").exists()


def test_help_lists_the_settings():
    names = set(call.inspect.signature(normlab.run).parameters)
    assert {"on_eval", "progress", "lr", "norm", "epochs", "out", "engine"} <= names
