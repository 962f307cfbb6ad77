"""Cells in this process: some elsewhere, some in parts, some that fail."""

import shutil
from collections import Counter
from types import SimpleNamespace
from unittest import mock

import pandas as pd
import pytest

from normlab.api import sweep as steps
from normlab.errors import Unwritable, UserError
from normlab.models import INITS, MODELS
from normlab.run_options import RunOptions
from normlab.store import RunPaths, load
from normlab.store.layout import read_json
from normlab.store.lock import only_writer
from normlab.store.run import cell_status, write_cell, write_failure
from normlab.sweep import __main__ as sweep
from normlab.sweep import attempt as attempts
from normlab.sweep.attempt import Outcome
from normlab.sweep.engines import ENGINES, inline, part
from normlab.sweep.engines.inline import Inline
from tests import tiny
from tests.called import called
from tests.store.handmade import make_cell

WORDS = (
    "--dataset=digits",
    "--train_size=24",
    "--model=tiny",
    "--init=quick",
    "--norm=none,batch,layer",
    "--batch_size=8",
    "--lr=0.01,0.1",
    "--num_seeds=1",
    "--steps=2",
    "--train_eval_size=16",
    "--eval_batch_size=50",
    "--devices=1",
    "--compilation_cache=none",
)


@pytest.fixture(scope="module", autouse=True)
def _tiny_models():
    with (
        mock.patch.dict(MODELS, tiny=tiny.TINY),
        mock.patch.dict(INITS, quick=tiny.QUICK),
        mock.patch.object(steps, "draw_all", lambda sources, folder: ([], [])),
    ):
        yield


def call(capsys, out, *words: str) -> tuple[int, str, str]:
    argv = (*WORDS, f"--out={out}", *words)
    return called(sweep.main, sweep.flag_values(), argv), *capsys.readouterr()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pd.DataFrame:
    """The numbers of the sweep, run by one command."""
    out = tmp_path_factory.mktemp("whole") / "run"
    argv = (*WORDS, f"--out={out}")
    assert called(sweep.main, sweep.flag_values(), argv) == 0
    return load(out)


def same(out, whole) -> None:
    pd.testing.assert_frame_equal(load(out), whole, check_exact=True)


def test_shards_make_the_whole(tmp_path, capsys, whole):
    out = tmp_path / "run"
    status, text, _ = call(capsys, out, "--shard=0/2")
    assert status == 0 and " in 2 of 3 programs (cells), " in text
    assert "\n2 of 3 cells complete, 1 waiting, 67%\n" in text
    assert f"see: python -m normlab.sweep --status --out={out}\n" in text
    assert not (out / "summary.csv").exists()
    again = call(capsys, out, "--shard=0/2")
    assert again[0] == 0 and "2 of 3 cells complete" in again[1]
    status, text, _ = call(capsys, out, "--shard=1/2")
    assert status == 0 and "final test_accuracy" in text
    assert (out / "summary.csv").exists()
    assert len(read_json(out / "sweep.json")["sessions"]) == 2
    same(out, whole)


def test_a_shard_without_cells(tmp_path, capsys):
    status, text, err = call(capsys, tmp_path / "run", "--shard=3/4")
    assert (status, err) == (0, "") and not (tmp_path / "run").exists()
    assert text == "--shard=3/4: no cell is left for this part; the sweep has 3 cells\n"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_parts_are_a_partition(count):
    cells = tuple(make_cell(batch_size=n) for n in range(1, 6))
    parts = [part(cells, i, count) for i in range(count)]
    assert Counter(cell.id for own in parts for cell in own) == Counter(
        cell.id for cell in cells
    )
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("value", ["3/3", "1", "a/2", "-1/2", "0/0", "1/2/3", "²/3"])
def test_what_is_no_shard(value):
    with pytest.raises(UserError, match=r"--shard=.*: give i/n"):
        RunOptions(shard=value)


@pytest.mark.parametrize("value", ["-1", "1.5", "x", "nan", "inf", ""])
def test_what_is_no_number_of_gpus(value):
    with pytest.raises(UserError, match="--cell_gpus="):
        RunOptions(cell_gpus=value)


@pytest.mark.parametrize(
    ("value", "gpus"), [("auto", 1), ("0", 0), ("0.25", 0.25), ("1", 1), ("4", 4)]
)
def test_numbers_of_gpus(value, gpus):
    assert RunOptions(cell_gpus=value).gpus(1) == gpus


def test_an_unknown_engine(tmp_path, capsys):
    status, _, err = call(capsys, tmp_path / "run", "--engine=slurm")
    assert status == 1 and err.count("\n") == 1
    assert all(name in err for name in ("slurm", *ENGINES))


def test_a_cell_that_fails_stops_no_other(tmp_path, capsys, monkeypatch, whole):
    out, run_cell = tmp_path / "run", attempts.run_cell

    def breaks(plan, *args):
        if plan.cell.config.norm == "none":
            raise ZeroDivisionError("by\nzero")
        if plan.cell.config.norm == "batch":
            raise UserError("too large")
        return run_cell(plan, *args)

    with monkeypatch.context() as patch:
        patch.setattr(attempts, "run_cell", breaks)
        status, _, err = call(capsys, out)
    assert status == 1
    assert "none: failed: ZeroDivisionError: by zero\n" in err
    assert err.splitlines()[-1] == (
        "it: error: 2 of 3 cells failed: none: "
        "ZeroDivisionError: by zero; batch: too large. After fixing this, run the "
        "same command again"
    )
    status, text, _ = call(capsys, out, "--status")
    assert status == 0 and "1 of 3 cells complete, 2 failed" in text
    status, text, err = call(capsys, out)
    assert status == 0 and "final test_accuracy" in text
    same(out, whole)


def test_a_cell_that_is_locked_is_left_out(tmp_path, capsys, whole):
    out = tmp_path / "run"
    first = whole["cell"].unique()[0]
    call(capsys, out, "--shard=1/2")
    with only_writer(RunPaths.at(out).cell(first).lock):
        status, text, err = call(capsys, out)
        assert status == 0
        assert "none: skipped: another process is running it\n" in err
        assert "\n2 of 3 cells complete, 1 running, " in text and "--status" in text
    assert call(capsys, out)[0] == 0
    same(out, whole)


def test_figures_are_drawn_once(tmp_path, capsys, whole, monkeypatch):
    """By the process that finds all complete; another that ended, too, sees that."""
    out = tmp_path / "run"
    assert call(capsys, out)[0] == 0
    paths = RunPaths.at(out)
    drawn = []
    monkeypatch.setattr(steps, "draw_all", lambda *args: drawn.append(1) or ([], []))
    sweep._finish(paths)
    assert not drawn and "drawn by another process" in capsys.readouterr().out
    shutil.rmtree(paths.cell(whole["cell"].unique()[0]).root)
    assert call(capsys, out)[0] == 0
    assert drawn, "the summary was of a cell that has gone"


# What the engine does with cells that others are at; the cells do nothing here.

CELLS = tuple(make_cell(batch_size=n) for n in (1, 2, 3))


@pytest.fixture
def engine(monkeypatch):
    plans = tuple(
        SimpleNamespace(cell=c, name=f"b{c.config.batch_size}") for c in CELLS
    )
    for one in plans:
        one.now = lambda one=one: one
    plan = SimpleNamespace(cells=plans, text=lambda verbose: "plan")
    monkeypatch.setattr(inline, "make_plan", lambda *args: plan)
    work = {"config": None, "options": RunOptions(), "ids": (), "before": ()}
    work |= {"on_eval": None, "stream": None, "verbose": False}
    return Inline(SimpleNamespace(**work))  # type: ignore[arg-type]


def acting(monkeypatch, act) -> list[int]:
    """Replaces `attempt` by ``act(batch size, paths)``; returns what is attempted."""
    tried = []

    def attempt(cell, paths, plan, options, progress):
        assert plan().cell is cell
        tried.append(cell.config.batch_size)
        return Outcome(cell.id, *act(cell, paths))

    monkeypatch.setattr(inline, "attempt", attempt)
    return tried


def test_it_comes_back_to_a_cell_whose_process_died(engine, tmp_path, monkeypatch):
    seen = Counter()

    def act(cell, paths):
        seen[cell.id] += 1
        busy = cell is CELLS[0] and seen[cell.id] == 1
        return ("busy", "another") if busy else ("complete",)

    tried = acting(monkeypatch, act)
    found = engine.run(RunPaths.at(tmp_path))
    assert tried == [1, 2, 3, 1]
    assert {o.cell_id: o.state for o in found} == dict.fromkeys(
        (c.id for c in CELLS), "complete"
    )


def test_it_does_not_wait_for_a_live_process(engine, tmp_path, monkeypatch):
    paths = RunPaths.at(tmp_path)
    tried = acting(
        monkeypatch, lambda c, _: ("busy", "x") if c is CELLS[1] else ("complete",)
    )
    with only_writer(paths.cell(CELLS[1].id).lock):
        found = engine.run(paths)
    assert tried == [1, 2, 3]
    assert [o.state for o in found] == ["complete", "busy", "complete"]


def test_what_failed_before_is_tried_and_what_failed_meanwhile_is_not(
    engine, tmp_path, monkeypatch
):
    paths = RunPaths.at(tmp_path)
    write_failure(paths.cell(CELLS[0].id), CELLS[0], "yesterday")

    def act(cell, own):
        if cell is CELLS[0]:  # meanwhile another process fails with the next
            write_failure(paths.cell(CELLS[1].id), CELLS[1], "just now")
        return ("complete",)

    tried = acting(monkeypatch, act)
    found = engine.run(paths)
    assert tried == [1, 3]
    assert found[1] == Outcome(CELLS[1].id, "failed", "just now")


def test_a_full_disk_ends_it(engine, tmp_path, monkeypatch):
    def act(cell, paths):
        raise Unwritable("full")

    tried = acting(monkeypatch, act)
    with pytest.raises(Unwritable, match="full"):
        engine.run(RunPaths.at(tmp_path))
    assert tried == [1]


def test_complete_cells_are_not_touched(engine, tmp_path, monkeypatch):
    paths = RunPaths.at(tmp_path)
    write_cell(paths.cell(CELLS[1].id), CELLS[1], "complete")
    tried = acting(monkeypatch, lambda cell, own: ("complete",))
    assert [o.state for o in engine.run(paths)] == ["complete"] * 3
    assert tried == [1, 3] and cell_status(paths.cell(CELLS[1].id)) == "complete"
