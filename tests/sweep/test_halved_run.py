"""A run of which only the best members were trained to the end, as a user sees it."""

from unittest import mock

import pandas as pd
import pytest

from normlab.claims import ledger
from normlab.models import INITS, MODELS
from normlab.store import load
from normlab.store.layout import read_json
from normlab.sweep import __main__ as sweep
from tests import tiny
from tests.called import called

WORDS = (
    "--dataset=digits",
    "--train_size=24",
    "--model=tiny",
    "--init=quick",
    "--norm=none,batch",
    "--batch_size=8",
    "--optimizer=sgd",
    "--lr=0.001,0.03,0.1,1e30",
    "--num_seeds=2",
    "--steps=8",
    "--eval_every=2",
    "--keep_best=1/2",
    "--keep_best_at=3",
    "--stop_diverged",
    "--train_eval_size=16",
    "--eval_batch_size=50",
    "--devices=1",
    "--execution=map",
    "--compilation_cache=none",
    "--verbose",
)


@pytest.mark.slow
def test_no_figure_or_claim_takes_it_for_a_full_run(tmp_path, capsys, caplog):
    out = tmp_path / "run"
    with (
        mock.patch.dict(MODELS, tiny=tiny.TINY),
        mock.patch.dict(INITS, quick=tiny.QUICK),
    ):
        assert called(sweep.main, sweep.flag_values(), (*WORDS, f"--out={out}")) == 0
    text, err = capsys.readouterr()
    assert "1 at once on 1 device, " in text
    assert "at once: auto: stopped members cost nothing" in text
    assert "4 of 8 members stopped, " in err and " of 64 member-steps saved" in err
    assert "batch, best 1/2" in text and "cannot" not in err
    drawn = {path.stem: path.read_text() for path in (out / "figures").glob("*.csv")}
    assert {"curves", "lr_sensitivity"} <= drawn.keys()
    assert all(", best 1/2" in table for table in drawn.values())
    frame = load(out)
    finals = frame[frame["step"] == 8].groupby("cell")["lr"]
    assert finals.nunique().tolist() == [2, 2] and finals.size().tolist() == [4, 4]
    # The rates that have ended have no final value anywhere.
    for cell, lrs in finals.unique().items():
        norm = str(frame.loc[frame["cell"] == cell, "norm"].iloc[0])
        table = pd.read_csv(out / "figures" / "lr_sensitivity.csv")
        rows = table[table["setting"] == f"{norm}, best 1/2"]
        assert sorted(rows["lr"]) == sorted(lrs) and len(lrs) == 2
    record = read_json(next((out / "cells").iterdir()) / "cell.json")
    assert len(record["stopped"]["not_among_the_best"]) == 4
    assert all(not verdict.n for verdict in ledger([out]))
    assert f"claims leave out {out}: --keep_best stopped" in caplog.text
