"""How far a run is, from its files, whatever state they are in."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from normlab.errors import UserError
from normlab.store.layout import read_json, write_json
from normlab.store.lock import only_writer
from normlab.store.run import write_failure
from normlab.sweep import status
from normlab.sweep.status import cell_state, run_status, status_text
from tests.store.handmade import make_cell, write_run

CELLS = (
    make_cell(lrs=(0.1,), seeds=2),
    make_cell(lrs=(0.1,), seeds=2, norm="none"),
    make_cell(lrs=(0.1,), seeds=2, norm="group", groups=4),
)
A, B, C = CELLS


@pytest.fixture
def paths(tmp_path):
    """A complete, B begun and dropped at step 10, C not begun."""
    paths = write_run(tmp_path / "run", CELLS, until={B.id: 10, C.id: 0})
    paths.cell(C.id).config.unlink()
    (paths.cell(B.id).checkpoints / "8").mkdir(parents=True)
    beat(paths, B)
    return paths


def beat(paths, cell, **changes):
    value = {"step": 10, "steps": 20, "members": 2, "pace": 5.0}
    value |= {"host": socket.gethostname(), "pid": 7, "time": time.time()}
    write_json(paths.cell(cell.id).progress, value | changes)


def state(paths, cell) -> str:
    return cell_state(paths.cell(cell.id)).state


def test_a_line_a_cell(paths):
    lines = status_text(paths).splitlines()
    assert lines[0] == f"{paths.root}:"
    assert [line.split()[0] for line in lines[1:4]] == [cell.id for cell in CELLS]
    assert [line.split()[1] for line in lines[1:4]] == [
        "complete",
        "interrupted",
        "waiting",
    ]
    assert "2 members, 20 steps" in lines[1]
    host = socket.gethostname()
    assert f"continues from step 8 of 20, {host}, pid 7 was at step 10" in lines[2]
    assert lines[3].endswith("waiting")
    assert len({line.index(line.split()[1]) for line in lines[1:4]}) == 1  # aligned
    # 40 of A and 16 of B, C taken to be as long as they are: 56 of 120.
    assert lines[4] == "1 of 3 cells complete, 1 interrupted, 1 waiting, 47%"


def test_who_holds_the_lock_is_at_work(paths):
    with only_writer(paths.cell(B.id).lock), only_writer(paths.cell(C.id).lock):
        begun, starting = run_status(paths)[1:]
        assert (begun.state, begun.step, begun.left) == ("running", 10, 20)
        assert starting.state == "running"
        text = status_text(paths)
    host = socket.gethostname()
    assert f"step 10 of 20, 5 member-steps/s, 0:04 left, {host}, pid 7" in text
    assert "running      starting" in text
    assert "1 of 3 cells complete, 2 running, 50%, 5 member-steps/s, 0:12 left" in text
    assert state(paths, B) == "interrupted"


def test_looking_keeps_nobody_from_the_lock(paths):
    lock = paths.cell(B.id).lock
    looker = "import sys\nfrom pathlib import Path\nfrom normlab.store.lock import *\n"
    looker += "print('on', flush=True)\nwhile True: is_held(Path(sys.argv[1]))"
    with only_writer(lock):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", looker, str(lock)], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(200):
                with only_writer(lock):
                    pass
        finally:
            process.kill()


@pytest.mark.parametrize("jump", [0.0, 200.0, -200.0])
def test_another_host_is_at_work_as_long_as_it_is_heard(jump, paths, monkeypatch):
    """Its lock may not be seen here; its clock may be another."""
    beat(paths, B, host="elsewhere")
    now = time.time() + jump
    monkeypatch.setattr(status.time, "time", lambda: now)
    assert state(paths, B) == "running"
    monkeypatch.setattr(status.time, "time", lambda: now + 1000)
    assert state(paths, B) == "interrupted"
    beat(paths, B, host="elsewhere", time=now + 990)  # after a jump, heard again
    assert state(paths, B) == "running"


def test_a_failure_and_why(paths):
    write_failure(paths.cell(B.id), B, "out of memory", "Traceback")
    lines = status_text(paths).splitlines()
    assert lines[2].split(maxsplit=1)[1] == "failed       out of memory"
    assert "1 failed" in lines[4]
    with only_writer(paths.cell(B.id).lock):
        assert state(paths, B) == "running"  # tried again


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"status": "running", "config": 3}',
        "\xff",
        "[" * 200_000,
        '{"sha256": "0"}',
    ],
)
def test_a_damaged_cell_is_said_for_that_cell(text, paths):
    paths.cell(B.id).config.write_text(text, encoding="latin-1")
    states = [cell.state for cell in run_status(paths)]
    assert states == ["complete", "damaged", "waiting"]
    assert f"damaged      {paths.cell(B.id).config} is damaged" in status_text(paths)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"step": "x", "pace": NaN, "time": null, "host": "else"}',
        '{"step": -1, "pace": -2.0, "time": 1' + "0" * 400 + ', "host": "else"}',
    ],
)
def test_a_damaged_heartbeat_does_no_harm(text, paths):
    paths.cell(B.id).progress.write_text(text)
    assert state(paths, B) == "interrupted"
    with only_writer(paths.cell(B.id).lock):
        assert "running      step 0 of 20" in status_text(paths)


def test_a_cell_that_ends_meanwhile_is_not_called_interrupted(paths, monkeypatch):
    """The lock is free since cell.json says complete, not the other way round."""
    own = paths.cell(B.id)

    def ends_now(lock):
        write_json(own.config, read_json(own.config) | {"status": "complete"})
        return False

    monkeypatch.setattr(status, "is_held", ends_now)
    assert cell_state(own).state == "complete"


def test_what_is_no_run(tmp_path, paths):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "not there"):
        with pytest.raises(UserError, match="is not a run directory"):
            run_status(type(paths).at(tmp_path / folder))
    paths.sweep.write_text(json.dumps({"cells": 3}))
    with pytest.raises(UserError, match="is damaged"):
        run_status(paths)


COMMAND = """
import runpy, sys
sys.argv[0] = "normlab.sweep"
try:
    runpy.run_module("normlab.sweep", run_name="__main__")
except SystemExit as stop:
    import jax
    from jax._src import xla_bridge
    assert not stop.code and not xla_bridge.backends_are_initialized()
"""


def test_it_takes_no_device_no_data_and_writes_nothing(paths, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in paths.root.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "--status", f"--out={paths.root}"],
        env={**os.environ, "NORMLAB_DATA_DIR": str(tmp_path / "no data")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == status_text(paths) + "\n"
    after = {path: path.stat().st_mtime_ns for path in paths.root.rglob("*")}
    assert after == before
