"""``experiments/results/ledger.txt`` is what follows from the kept runs."""

from pathlib import Path

import pytest

from normlab.claims.__main__ import flag_values, main
from tests.called import called

RESULTS = Path(__file__).parents[2] / "experiments" / "results"


@pytest.mark.slow
def test_the_kept_ledger_is_that_of_the_kept_runs(capsys, monkeypatch):
    monkeypatch.chdir(RESULTS.parents[1])  # page.flags names runs from there
    words = [f"--flagfile={RESULTS / 'page.flags'}"]
    assert called(main, flag_values(), words, "normlab.claims") == 0
    kept = (RESULTS / "ledger.txt").read_text(encoding="utf-8")
    assert capsys.readouterr().out == kept
