"""What is said while a command computes points."""

import io

from normlab.members import progress
from normlab.members.progress import CountProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream, *calls) -> str:
    found = CountProgress("batch", stream=stream)
    for done, total in calls:
        found(done, total)
    found.close()
    return stream.getvalue()


def test_lines(monkeypatch):
    text = told(io.StringIO(), (0, 9), (4, 9), (9, 9))
    assert (
        text.startswith("batch: 9 of 9 points computed in ")
        and len(text.split("\n")) == 2
    )
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    lines = told(io.StringIO(), (4, 9), (8, 9), (9, 9)).splitlines()
    assert lines[0] == "batch: goes on from point 4 of 9"
    assert "batch: point 8 of 9" in lines
    assert lines[-1].startswith("batch: 5 of 9 points computed")


def test_a_bar():
    text = told(Terminal(), (4, 9), (9, 9))
    assert "batch" in text and "9/9" in text


def test_steps_are_counted_by_name():
    stream = io.StringIO()
    found = CountProgress("batch", "step", stream)
    found(0, 9)
    found(9, 9)
    found.close()
    assert stream.getvalue().startswith("batch: 9 of 9 steps computed in ")


def test_an_error_before_the_first_point_leaves_no_line():
    assert told(io.StringIO()) == ""
    assert "points computed" not in told(Terminal())
