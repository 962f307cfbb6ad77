"""A folder by any name: relative, with spaces, with letters beyond ASCII."""

import pandas as pd
import pytest

from normlab.store import load
from tests.faults import small

pytestmark = pytest.mark.faults


@pytest.mark.slow
def test_a_relative_folder_with_spaces_and_other_letters(
    tmp_path, monkeypatch, capsys, tally
):
    tally["odd folders"] += 2
    monkeypatch.chdir(tmp_path)
    assert small.sweep(tmp_path / "plain", steps=2) == 0
    name = "my runs/Läufe 実験 ñ"
    assert small.sweep(name, figures=True, steps=2) == 0
    assert f"out: {tmp_path / name}\n" in capsys.readouterr().out
    found = load(name)
    pd.testing.assert_frame_equal(found, load(tmp_path / "plain"), check_exact=True)
    assert small.sweep(tmp_path / name, steps=2) == 0
    assert "complete: nothing is left to run" in capsys.readouterr().out
