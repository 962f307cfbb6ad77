"""Members that are stopped: the others keep their bits, and time is saved."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from normlab.errors import UserError
from normlab.run_options import RunOptions
from normlab.store.layout import CellPaths
from normlab.store.path import read_path
from normlab.store.quantities import read_quantity
from normlab.store.run import cell_status, read_cell
from normlab.sweep import execute
from normlab.sweep.execute import run_cell
from normlab.sweep.grid import expand
from normlab.sweep.halving import losers
from normlab.sweep.population import Population
from tests import tiny
from tests.marks import slow
from tests.sweep.stopped import Interrupted, StopAfter, frame_of

HUGE = 1e30  # a learning rate
MEMBERS = tiny.members(lrs=(0.01, HUGE, 0.1), seeds=(0, 1))
LOST = {1, 4}
CELL = tiny.cell(
    MEMBERS,
    steps=14,
    eval_every=5,
    path_every=3,
    quantities=("parameter_norm",),
    probe_every=4,
)
OPTIONS = RunOptions(checkpoint_seconds=0.0, call_steps=4)


def changed(**changes):
    return dataclasses.replace(CELL, config=dataclasses.replace(CELL.config, **changes))


class Count(tiny.Silent):
    """Remembers what is said at the end."""

    notes: tuple[str, ...] = ()

    def end(self, *notes: str) -> None:
        self.notes = notes


def trained_on(paths) -> pd.DataFrame:
    """The rows, without the learning rate: no update was made of a stopped member."""
    return frame_of(paths).drop(columns="lr_step")


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))


@pytest.fixture
def trained(monkeypatch):
    """(step, how many members) of every call."""
    calls, train = [], Population.train

    def noting(self, step, count):
        calls.append((step, len(self.running)))
        return train(self, step, count)

    monkeypatch.setattr(Population, "train", noting)
    return calls


def run(cell, folder, *, execution="map", member_chunk=1, progress=None) -> CellPaths:
    paths = CellPaths(folder)
    plan = tiny.plan(cell, execution=execution, member_chunk=member_chunk)
    while cell_status(paths) != "complete":
        try:
            run_cell(plan, paths, OPTIONS, progress or tiny.Silent())
        except Interrupted:
            progress = StopAfter(2)
    return paths


def notes_of(paths: CellPaths) -> dict:
    return json.loads(paths.config.read_text()).get("stopped", {})


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    paths = run(CELL, tmp_path_factory.mktemp("full") / "cell")
    lost = frame_of(paths).query("diverged")["member"]
    assert set(lost) == LOST and not notes_of(paths)
    return paths


STOPPING = changed(stop_diverged=True)


def test_stopped_members_read_as_if_they_had_been_trained(full, tmp_path, trained):
    progress = Count()
    paths = run(STOPPING, tmp_path / "cell", progress=progress)
    pd.testing.assert_frame_equal(trained_on(paths), trained_on(full), check_exact=True)
    found, wanted = (read_quantity(x, "parameter_norm") for x in (paths, full))
    assert found is not None and wanted is not None
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    for (step, found), (same, wanted) in zip(
        read_path(paths.path), read_path(full.path), strict=True
    ):
        assert step == same
        for layer, leaves in wanted["params"].items():
            for name, leaf in leaves.items():
                other = found["params"][layer][name]
                well = [0, 2, 3, 5]
                np.testing.assert_array_equal(other[well], leaf[well])
                if step > 4:
                    assert all(np.isnan(other[i]).any() for i in LOST)
    notes = notes_of(paths)
    assert set(map(int, notes["diverged"])) == LOST
    saved = notes["member_steps_saved"]
    assert saved == sum(14 - step for step in notes["diverged"].values()) > 14
    assert progress.notes == (
        f"2 of 6 members stopped, {saved} of 84 member-steps saved",
    )
    assert trained[-1][1] == 4 and trained[0][1] == 6


@pytest.mark.parametrize(
    ("execution", "chunk"),
    [("map", 1), pytest.param("vmap", 2, marks=pytest.mark.slow)],
)
def test_all_may_diverge(execution, chunk, tmp_path, trained):
    """Also under vmap, where the program gets smaller with its members."""
    members = tiny.members(lrs=(HUGE,), seeds=(0, 1))
    lost = [dataclasses.replace(c, members=members) for c in (STOPPING, CELL)]
    paths = [
        run(cell, tmp_path / name, execution=execution, member_chunk=chunk)
        for cell, name in zip(lost, "ab", strict=True)
    ]
    found, expected = map(trained_on, paths)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert 0 in {count for _, count in trained}


def test_under_vmap_half_the_program_is_left(tmp_path, monkeypatch):
    sizes = []
    train = Population.train

    def noting(self, step, count):
        sizes.append(self._member_chunks.size)
        return train(self, step, count)

    monkeypatch.setattr(Population, "train", noting)
    members = tiny.members(lrs=(HUGE, 0.01), seeds=(0, 1))
    cell = dataclasses.replace(STOPPING, members=members)
    paths = run(cell, tmp_path / "cell", execution="vmap", member_chunk=4)
    assert sizes[0] == 4 and sizes[-1] == 2
    frame = frame_of(paths)
    assert frame.query("step == 14")["test_loss"].isna().tolist() == [1, 0, 1, 0]


def test_it_resumes_with_the_members_that_it_had(full, tmp_path, often):
    paths = run(STOPPING, tmp_path / "cell", progress=StopAfter(2))
    pd.testing.assert_frame_equal(trained_on(paths), trained_on(full), check_exact=True)
    assert set(map(int, notes_of(paths)["diverged"])) == LOST


# Successive halving.

HALVING = changed(keep_best="1/2", keep_best_at="6,11", eval_every=5)


def best_by(frame: pd.DataFrame, step: int, lrs: list[float]) -> list[float]:
    rows = frame[frame["step"] == step].assign(
        lr=lambda rows: [MEMBERS[m].lr for m in rows["member"]]
    )
    rows["train_loss"] = rows["train_loss"].fillna(np.inf)
    medians = rows[rows["lr"].isin(lrs)].groupby("lr")["train_loss"].median()
    return medians.sort_values(kind="stable").index.tolist()


@pytest.mark.parametrize("progress", [None, slow(2)])
def test_the_best_points_are_kept(progress, tmp_path, often, trained):
    reference = frame_of(run(changed(eval_every=1), tmp_path / "reference"))
    first = best_by(reference, 6, [0.01, HUGE, 0.1])[:2]
    second = best_by(reference, 11, first)[:1]
    assert HUGE not in first
    del trained[:]
    paths = run(HALVING, tmp_path / "cell", progress=progress and StopAfter(progress))
    frame = frame_of(paths)
    ends = frame.groupby("member")["step"].max()
    for number, member in enumerate(MEMBERS):
        kept = (member.lr in first) + (member.lr in second)
        assert ends[number] == (6, 11, 14)[kept]
    merged = frame.merge(reference, on=["member", "step"], suffixes=("", "_full"))
    assert len(merged) == len(frame)
    at_end = frame["step"] == frame["member"].map(ends)
    pd.testing.assert_series_equal(
        frame["batch_loss"].where(~at_end),
        merged["batch_loss_full"].where(~at_end),
        check_names=False,
        check_exact=True,
    )
    assert frame.loc[at_end, "batch_loss"].isna().all()
    ended = frame[at_end]
    assert (ended["test_loss"].notna() | ended["diverged"]).all()
    assert not frame[~frame["member"].isin(LOST)]["diverged"].any()
    norms = read_quantity(paths, "parameter_norm")
    assert norms is not None
    assert norms.groupby("member")["step"].max().loc[[1, 4]].tolist() == [4, 4]
    notes = notes_of(paths)
    assert set(notes["not_among_the_best"].values()) == {6, 11}
    assert notes["member_steps_saved"] == 2 * (14 - 6) + 2 * (14 - 11)
    assert {count for step, count in trained if step >= 11} == {2}
    path = dict(read_path(paths.path))
    gone = [i for i in range(6) if ends[i] < 14]
    assert all(np.isnan(path[14]["params"]["dense1"]["kernel"][i]).all() for i in gone)
    assert np.isfinite(path[14]["params"]["dense1"]["kernel"]).sum() > 0


def test_losers():
    losses = np.array([1.0, 3.0, 5.0, 4.0, 2.0, np.nan])  # seeds 0 and 1, three rates
    assert losers(MEMBERS, losses, range(6), Fraction(2, 3)) == [2, 5]
    # The other two rates have the same median, so the first of them is kept.
    assert losers(MEMBERS, losses, range(6), Fraction(1, 3)) == [1, 2, 4, 5]
    losses[4] = 1.9
    assert losers(MEMBERS, losses, range(6), Fraction(1, 3)) == [0, 2, 3, 5]
    assert losers(MEMBERS, np.zeros(6), range(6), Fraction(1, 3)) == [1, 2, 4, 5]
    assert losers(MEMBERS, losses, [0, 3], Fraction(1, 100)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep_best": "1/2"}, "only given together"),
        ({"keep_best_at": "3"}, "only given together"),
        ({"keep_best": "2/2", "keep_best_at": "3"}, "give k/n"),
        ({"keep_best": "half", "keep_best_at": "3"}, "give k/n"),
        ({"keep_best": "1/2", "keep_best_at": "3,2"}, "give rising steps"),
        ({"keep_best": "1/2", "keep_best_at": "0"}, "give rising steps"),
        ({"keep_best": "1/2", "keep_best_at": "x"}, "give rising steps"),
        ({"keep_best": "1/2", "keep_best_at": "6"}, "the training has only 6 steps"),
    ],
)
def test_what_is_no_halving(changes, message):
    with pytest.raises(UserError, match=message):
        expand(tiny.sweep_config(**changes), {"digits": 64})


def test_what_is_written_is_read(tmp_path):
    paths = CellPaths(tmp_path)
    execute.write_cell(paths, HALVING, "running")
    assert read_cell(paths) == HALVING
    assert changed(stop_diverged=True).id != CELL.id
