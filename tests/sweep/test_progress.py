"""How far a sweep is, told rarely and truthfully."""

import io
import re

import numpy as np
import pytest

from normlab.sweep import progress
from normlab.sweep.progress import SweepProgress

LOSSES = np.array([0.5, np.nan, 1.5, 2.5])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_at_most_one_line_in_thirty_seconds(clock):
    stream = io.StringIO()
    bar = SweepProgress(4000, 1, stream)
    bar.begin("batch", 1000, 0, 4)
    times = []
    for _ in range(200):
        clock[0] += 1.0
        before = stream.tell()
        bar.advance(5, LOSSES)
        if stream.tell() > before:
            times.append(clock[0])
    assert len(times) == 6
    assert min(np.diff(times)) >= 30
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    # 31 s, 155 steps of 4 members: 20 a second, and 3380 to go.
    assert lines[0] == (
        "cell 1/1 batch, step 150/1000, median loss 1.500, 20 member-steps/s, 2:50 left"
    )


def seconds_left(line):
    """What a line promises, in seconds."""
    found = re.search(r"(-?[\d:-]+) left", line)
    assert found
    seconds = 0
    for part in found.group(1).split(":"):
        seconds = 60 * seconds + int(part)
    return seconds


def test_work_of_an_earlier_run_is_neither_speed_nor_ahead(clock):
    """One cell of three done, one resumed at step 60 of 100: 340 member-steps left."""
    stream = io.StringIO()
    bar = SweepProgress(3 * 100 * 2, 3, stream)
    bar.skip(200)
    bar.begin("batch", 100, 60, 2)
    for _ in range(40):
        clock[0] += 31.0
        bar.advance(1, LOSSES)
    bar.end()
    bar.begin("group", 100, 0, 2)
    for _ in range(100):
        clock[0] += 31.0
        bar.advance(1, LOSSES)
    bar.end()
    bar.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "batch: continues from step 60 of 100"
    paces = [line for line in lines if "left" in line]
    assert len(paces) == 140
    assert paces[0].startswith("cell 2/3 batch, step 61/100")
    assert paces[-1].startswith("cell 3/3 group, step 100/100")
    left = [seconds_left(line) for line in paces]
    np.testing.assert_allclose(left, [31 * (139 - i) for i in range(140)], atol=1)


def test_losses_that_are_not_finite(clock):
    stream = io.StringIO()
    bar = SweepProgress(10, 1, stream)
    bar.begin("none", 10, 0, 1)
    clock[0] += 31
    bar.advance(1, np.array([np.nan]))
    assert "median loss not finite" in stream.getvalue()


def test_a_terminal_gets_a_bar_that_ends_full():
    stream = Terminal()
    bar = SweepProgress(600, 3, stream)
    bar.skip(200)
    bar.begin("batch", 100, 60, 2)
    bar.compiled(1.0)
    bar.advance(40, LOSSES)
    bar.end()
    bar.begin("group", 100, 0, 2)
    bar.advance(100, LOSSES)
    bar.end()
    bar.close()
    shown = stream.getvalue()
    assert "compiled in 1.0 s)" in shown and shown.count("compiled") == 1
    assert "continues from step 60 of 100\n" in shown
    assert "600/600" in shown and "100%" in shown


@pytest.mark.parametrize(
    "seconds, text", [(0.0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3661, "1:01:01")]
)
def test_clock(seconds, text):
    assert progress.clock(seconds) == text


def test_the_pace_leaves_compiling_out(clock):
    stream = io.StringIO()
    bar = SweepProgress(100, 1, stream)
    bar.begin("none", 100, 0, 1)
    clock[0] += 40
    bar.compiled(40.0)
    clock[0] += 10
    bar.advance(10, LOSSES)
    bar.end()
    assert "none: done (0:50 since the start, compiled in 40.0 s)" in stream.getvalue()
    assert "1 member-steps/s, 1:30 left" in stream.getvalue()


def test_the_pace_is_that_of_the_current_cell(clock):
    """A wide network trains slower than the narrow one before it."""
    stream = io.StringIO()
    bar = SweepProgress(200, 2, stream)
    for name, seconds in (("narrow", 50), ("wide", 400)):
        bar.begin(name, 100, 0, 1)
        clock[0] += 7
        bar.compiled(7.0)
        clock[0] += seconds
        bar.advance(50, LOSSES)
        clock[0] += 1
        if name == "wide":  # it ran out of memory, and begins again
            bar.begin(name, 100, 50, 1)
            clock[0] += 3
            bar.compiled(3.0)
            clock[0] += 1000
        bar.advance(50, LOSSES)
        bar.end()
    paces = re.findall(r"([\d.]+) member-steps/s, (\S+) left", stream.getvalue())
    assert paces == [("1", "2:30"), ("0.12", "6:40"), ("0.05", "0:00")]


def test_a_first_moment_has_no_pace():
    assert progress.pace_words(0.0, 100) == []
