"""A wall clock that jumps back: no order and no number is told from it."""

import datetime
import os
import time

import pytest

from normlab.store.layout import read_json
from tests.faults import small

pytestmark = pytest.mark.faults
YEAR = 365 * 24 * 3600.0


@pytest.mark.slow
def test_it_jumps_back_a_year_at_every_look(tmp_path, monkeypatch, tally):
    tally["clocks set back"] += 1
    whole = small.begin(tmp_path / "whole")
    small.go_on(whole)
    now = [4e9]

    def back() -> float:
        now[0] -= YEAR
        return now[0]

    paths = small.begin(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", back)
        patch.setattr(time, "time_ns", lambda: int(back() * 1e9))
        small.interrupt(paths, 4)
        assert now[0] < 4e9  # Orbax does look
        # The older a file, the later it says it was written.
        for age, file in enumerate(small.files(paths.root)):
            os.utime(file, (4e9 - age * YEAR, 4e9 - age * YEAR))
        now[0] = 0.0
        small.go_on(paths)
    small.same_run(paths, whole)


@pytest.mark.slow
def test_the_stamp_of_a_start_is_only_a_stamp(tmp_path, monkeypatch, tally):
    tally["clocks set back"] += 1
    out = tmp_path / "run"
    stamps = [
        datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2030, 1990)
    ]
    for stamp in stamps:
        text = stamp.isoformat(timespec="seconds")
        monkeypatch.setattr("normlab.store.provenance.now", lambda text=text: text)
        for file in out.glob("cells/*/cell.json"):
            file.unlink()  # there is something to do
        assert small.sweep(out, steps=2) == 0
    sessions = read_json(out / "sweep.json")["sessions"]
    assert [session["started"][:4] for session in sessions] == ["2030", "1990"]
