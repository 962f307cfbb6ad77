"""What a cell writes of itself while it runs."""

import os
import socket

import numpy as np
import pytest

from normlab.store.layout import read_json
from normlab.sweep import heartbeat
from normlab.sweep.heartbeat import Heartbeat
from tests import tiny

LOSSES = np.array([1.0])


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    return now


def test_it_says_where_the_cell_is(tmp_path, clock):
    path = tmp_path / "cell" / "progress.json"
    beat = Heartbeat(path)
    beat.begin("batch", 100, 20, 4)
    first = read_json(path)
    assert (first["step"], first["steps"], first["members"]) == (20, 100, 4)
    assert first["pace"] == 0
    assert (first["host"], first["pid"]) == (socket.gethostname(), os.getpid())
    clock[0] += 30
    beat.compiled(20.0)
    beat.advance(5, LOSSES)
    second = read_json(path)
    assert second["step"] == 25
    assert second["pace"] == pytest.approx(5 * 4 / 10)  # compiling is no pace
    assert second["time"] >= first["time"]
    clock[0] += 1000
    beat.begin("batch", 100, 25, 4)  # it ran out of memory, and begins again
    assert read_json(path)["pace"] == 0
    clock[0] += 10
    beat.advance(5, LOSSES)
    assert read_json(path)["pace"] == pytest.approx(5 * 4 / 10)


def test_it_is_written_rarely(tmp_path, clock):
    path = tmp_path / "progress.json"
    beat = Heartbeat(path)
    beat.begin("batch", 1000, 0, 1)
    written = []
    for _ in range(100):
        clock[0] += 1
        beat.advance(1, LOSSES)
        if read_json(path)["step"] != (written or [0])[-1]:
            written.append(read_json(path)["step"])
    assert written == list(range(10, 101, 10))


def test_it_passes_everything_on(tmp_path):
    class Told(tiny.Silent):
        words: list = []

        def begin(self, name, steps, step, members):
            self.words.append((name, steps, step, members))

        def compiled(self, seconds):
            self.words.append(seconds)

        def advance(self, steps, losses_M):
            self.words.append(steps)

        def evaluated(self, cell, step, metrics_M):
            self.words.append((cell, step, metrics_M))

        def end(self, *notes):
            self.words.append("end")

    beat = Heartbeat(tmp_path / "progress.json", told := Told())
    beat.begin("batch", 3, 1, 2)
    beat.compiled(1.5)
    beat.advance(2, LOSSES)
    evaluation = tiny.cell(), 3, {"test_loss": LOSSES}
    beat.evaluated(*evaluation)
    beat.end()
    said = [("batch", 3, 1, 2), 1.5, 2, evaluation, "end"]
    assert told.words == said


def test_a_disk_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").touch()
    beat = Heartbeat(tmp_path / "file" / "progress.json")
    beat.begin("batch", 3, 0, 2)
    beat.advance(1, LOSSES)
