"""A whole run and one that was thinned to its evaluations say the same."""

import math

import numpy as np
import pandas as pd
import pytest

from normlab.claims.evidence import Evidence, at_evaluations
from normlab.errors import UserError
from normlab.store import load
from tests.store.handmade import make_cell, write_run

CELL = make_cell(lrs=(1e-3,), steps=25, eval_every=10)


def wild(member, step: int) -> float:
    return math.sin(step * 3.7) + 0.1 * step + member.seed


def test_the_rows_at_evaluations(tmp_path):
    write_run(tmp_path, [CELL], loss=wild)
    whole = load(tmp_path)
    found = at_evaluations(whole)
    rows = found[found["member"] == 1]
    assert list(rows["step"]) == [0, 10, 20, 25]

    def mean(first: int, last: int) -> float:
        return float(np.mean([wild(CELL.members[1], t) for t in range(first, last)]))

    wanted = [mean(0, 1), mean(1, 11), mean(11, 21), mean(21, 25)]
    np.testing.assert_allclose(rows["batch_loss"], wanted, rtol=1e-6)
    ends = whole[(whole["member"] == 1) & whole["step"].isin([0, 10, 20, 25])]
    np.testing.assert_array_equal(rows["test_accuracy"], ends["test_accuracy"])


def test_a_thinned_run_is_left_as_it_is(tmp_path):
    write_run(tmp_path, [CELL], loss=wild)
    once = at_evaluations(load(tmp_path))
    pd.testing.assert_frame_equal(at_evaluations(once), once)


def test_a_loss_lost_on_the_way_is_infinite(tmp_path):
    write_run(tmp_path, [CELL], loss=lambda m, t: math.nan if t >= 14 else 1.0)
    found = at_evaluations(load(tmp_path))
    assert list(found["batch_loss"])[:4] == [1.0, 1.0, math.inf, math.inf]


def test_members_and_runs(tmp_path):
    write_run(tmp_path / "a", [CELL])
    write_run(tmp_path / "b", [CELL], until={CELL.id: 20})
    evidence = Evidence.read([tmp_path / "a", tmp_path / "b"])
    assert evidence.runs == (str(tmp_path / "a"), str(tmp_path / "b"))
    assert list(evidence.members["run"]) == [str(tmp_path / "a")] * 3
    assert list(evidence.members["seed"]) == [0, 1, 2]
    assert set(evidence.members["epochs"]) == {2.5}
    names = set(evidence.members.columns)
    assert not names & {"step", "test_accuracy", "batch_loss", "diverged"}
    assert evidence.quantity("identities", evidence.members.index).empty


def test_no_runs():
    evidence = Evidence.read([])
    assert evidence.members.empty and evidence.runs == ()


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="not a run directory"):
        Evidence.read([tmp_path])
