"""What goes wrong with a cell is written down, and is that cell's alone."""

import errno
import os
import signal

import pytest

from normlab.errors import Unwritable, UserError
from normlab.interrupt import Stopped
from normlab.run_options import RunOptions
from normlab.store.layout import CellPaths, read_json, replacing
from normlab.store.lock import only_writer
from normlab.store.run import cell_status, read_cell, write_cell
from normlab.sweep import attempt as module
from normlab.sweep import execute
from normlab.sweep.attempt import Outcome, attempt, failed
from tests import tiny

CELL = tiny.cell(tiny.members(lrs=(0.1,), seeds=(0,)), norm="none", steps=2)
OPTIONS = RunOptions()


@pytest.fixture
def paths(tmp_path) -> CellPaths:
    return CellPaths(tmp_path / "cell")


def told(paths: CellPaths, monkeypatch, error: BaseException) -> Outcome:
    """What `attempt` makes of an error while the cell is at work."""

    def run_cell(plan, paths, options, progress):
        write_cell(paths, CELL, "running", member_chunk=3)
        progress.begin("none", 10, 4, 1)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(module, "run_cell", run_cell)
        return attempt(CELL, paths, lambda: tiny.plan(CELL), OPTIONS)


def test_a_cell_that_ends_leaves_only_results(paths, monkeypatch):
    told(paths, monkeypatch, ZeroDivisionError("first"))
    assert paths.error.exists() and paths.progress.exists()
    done = attempt(CELL, paths, lambda: tiny.plan(CELL), OPTIONS, tiny.Silent())
    assert done == Outcome(CELL.id, "complete")
    record = read_json(paths.config)
    assert record["status"] == "complete" and "reason" not in record
    assert not paths.error.exists() and not paths.progress.exists()


def test_a_mistake_of_the_user_is_one_line(paths, monkeypatch):
    found = told(paths, monkeypatch, UserError("too\n large"))
    assert found == Outcome(CELL.id, "failed", "too large")
    record = read_json(paths.config)
    assert (record["status"], record["reason"]) == ("failed", "too large")
    assert record["member_chunk"] == 3 and record["failed"]  # kept, for the next try
    assert read_cell(paths) == CELL and cell_status(paths) == "failed"
    assert not paths.error.exists()


def test_what_nobody_expects_leaves_its_traceback(paths, monkeypatch):
    found = told(paths, monkeypatch, KeyError("lost"))
    assert found.reason == "KeyError: 'lost'"
    assert "KeyError: 'lost'" in paths.error.read_text()
    assert "Traceback" in paths.error.read_text()
    assert told(paths, monkeypatch, ValueError()).reason == "ValueError()"


def test_an_error_of_the_plan_is_the_cells(paths):
    def plan():
        raise UserError("no such data")

    found = attempt(CELL, paths, plan, OPTIONS)
    assert found == Outcome(CELL.id, "failed", "no such data")
    assert read_cell(paths) == CELL


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_who_stops_the_program_is_not_stopped(error, paths, monkeypatch):
    with pytest.raises(error):
        told(paths, monkeypatch, error())
    assert cell_status(paths) == "running"


@pytest.mark.parametrize(
    "error",
    [
        Unwritable("cannot write x: No space left on device"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        ValueError(f"RESOURCE_EXHAUSTED: {os.strerror(errno.EDQUOT)} [while writing]"),
        OSError(errno.EROFS, os.strerror(errno.EROFS)),
    ],
)
def test_a_full_disk_is_no_cells_alone(error, paths, monkeypatch):
    with pytest.raises(Unwritable, match=r"cannot write .*: .*"):
        told(paths, monkeypatch, error)
    assert cell_status(paths) == "running"


def test_what_cannot_be_replaced_is_unwritable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable), replacing(tmp_path / "file" / "below"):
        pass


def test_a_cell_of_another_process_is_left_alone(paths):
    with only_writer(paths.lock):
        found = attempt(CELL, paths, lambda: tiny.plan(CELL), OPTIONS)
        assert found.state == "busy" and "another process" in found.reason
        assert failed(CELL, paths, "late").state == "failed"
    assert cell_status(paths) == "absent"


def test_a_failure_does_not_undo_what_another_completed(paths):
    write_cell(paths, CELL, "complete")
    assert failed(CELL, paths, "late").state == "complete"
    assert cell_status(paths) == "complete"


def test_a_damaged_record_is_left_to_its_reader(paths):
    """It may be that of a complete cell; what to do is said."""
    write_cell(paths, CELL, "complete", run_seconds=1.0)
    text = paths.config.read_text().replace("complete", "completf")
    paths.config.write_text(text)
    for _ in range(2):
        found = attempt(CELL, paths, lambda: tiny.plan(CELL), OPTIONS)
        assert found.state == "failed" and "remove it" in found.reason
        assert paths.config.read_text() == text


def test_a_second_failure_leaves_no_traceback_of_the_first(paths):
    failed(CELL, paths, "odd", "Traceback")
    assert paths.error.read_text() == "Traceback"
    failed(CELL, paths, "a mistake of the user's")
    assert not paths.error.exists()


def test_a_signal_stops_a_cell_that_fails_then(paths, monkeypatch):
    """Else the next cell would train until the scheduler kills it."""

    def dies(self):
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError

    monkeypatch.setattr(execute._CellRun, "run", dies)
    with pytest.raises(Stopped) as stop:
        attempt(CELL, paths, lambda: tiny.plan(CELL), OPTIONS)
    assert isinstance(stop.value.__cause__, ZeroDivisionError)
    assert cell_status(paths) == "running"


def test_a_failed_cell_goes_on_from_where_it_failed(paths, monkeypatch):
    """With the members at once that it began with, as after a kill."""
    told(paths, monkeypatch, ZeroDivisionError())
    how = {"execution": "map", "conv": "patches", "member_chunk": 1}
    record = read_json(paths.config) | how
    cell = tiny.cell(tiny.members(seeds=(0, 1)), norm="none", steps=2)
    write_cell(paths, cell, "failed", **{k: record[k] for k in _HOW})
    plan = tiny.plan(cell, execution="map")
    assert plan.member_chunk == 4
    assert attempt(cell, paths, lambda: plan, OPTIONS).state == "complete"
    assert read_json(paths.config)["member_chunk"] == 1


_HOW = ("execution", "conv", "member_chunk")
