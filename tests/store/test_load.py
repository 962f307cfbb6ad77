"""A run comes back as one tidy table."""

import dataclasses
import math
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normlab.cell import CellConfig, Member
from normlab.errors import UserError
from normlab.store import load
from normlab.store.load import members
from normlab.store.metrics import Recorder, write_part
from tests.store.handmade import accuracy, losses, make_cell, write_run

BATCH = make_cell(eval_statistics=("running", "batch"))
GROUP = make_cell(norm="group", groups=4, steps=10)
NONE = make_cell(lrs=(0.1,), norm="none")


def test_columns_and_types(tmp_path):
    write_run(tmp_path, [BATCH, GROUP])
    frame = load(tmp_path)
    static = [spec.name for spec in dataclasses.fields(CellConfig)]
    dynamic = [spec.name for spec in dataclasses.fields(Member)]
    metrics = ["batch_loss", "batch_accuracy", "gradient_norm", "lr_step"]
    metrics += ["train_loss", "train_accuracy"]
    metrics += ["test_loss", "test_accuracy"]
    own = {"cell", "label", "member", "step", "diverged"}
    assert set(frame.columns) == own | set(static) | set(dynamic) | set(metrics)
    assert list(frame.index) == list(range(len(frame)))
    for name in ("member", "step", "seed", "steps", "batch_size", "train_size"):
        assert pd.api.types.is_integer_dtype(frame[name]), name
    for name in ("lr", "momentum", "weight_decay", "epsilon", "groups", *metrics):
        assert pd.api.types.is_float_dtype(frame[name]), name
    for name in ("diverged", "norm_scale", "norm_bias"):
        assert frame[name].dtype == bool, name
    assert set(frame["eval_statistics"]) == {"running,batch", "running"}


def test_rows_are_cells_by_members_by_steps_in_the_sweeps_order(tmp_path):
    write_run(tmp_path, [NONE, GROUP, BATCH])
    frame = load(tmp_path)
    assert list(dict.fromkeys(frame["cell"])) == [NONE.id, GROUP.id, BATCH.id]
    assert list(dict.fromkeys(frame["label"])) == ["none", "group (G=4)", "batch"]
    for cell in (NONE, GROUP, BATCH):
        rows = frame[frame["cell"] == cell.id]
        steps = cell.config.steps + 1
        assert list(rows["step"]) == list(range(steps)) * len(cell.members)
        members = np.repeat(np.arange(len(cell.members)), steps)
        assert list(rows["member"]) == list(members)
        for field in ("seed", "lr"):
            wanted = [getattr(cell.members[i], field) for i in members]
            assert list(rows[field]) == wanted


def test_values_stand_where_they_were_measured(tmp_path):
    write_run(tmp_path, [GROUP])
    frame = load(tmp_path)
    assert len(frame) == 6 * 11
    for row in frame.to_dict("records"):
        member = GROUP.members[row["member"]]
        step, last = row["step"], row["step"] == 10
        assert math.isnan(row["batch_loss"]) == last
        assert math.isnan(row["test_accuracy"]) == (step not in (0, 10))
        if not last:
            assert row["batch_loss"] == pytest.approx(losses(member, step), rel=1e-6)
        else:
            score = accuracy(member, step)
            assert row["test_accuracy"] == pytest.approx(score, rel=1e-6)


def test_groups_is_nan_for_norms_without(tmp_path):
    write_run(tmp_path, [BATCH, GROUP])
    groups = load(tmp_path).groupby("label")["groups"].first()
    assert groups["group (G=4)"] == 4
    assert load(tmp_path)["groups"].isna().any()


def test_cells_with_other_metrics(tmp_path):
    paths = write_run(tmp_path, [BATCH, GROUP])
    recorder = Recorder(20)
    extra = np.full(6, 0.75, np.float32)
    recorder.evaluation(20, {"test_accuracy_batch": extra})
    last = paths.cell(BATCH.id).metrics / "part-00000020.parquet"
    both = [pq.read_table(last), recorder.table()]
    table = pa.concat_tables(both, promote_options="default")
    write_part(paths.cell(BATCH.id).metrics, 20, table)
    frame = load(tmp_path)
    rows = frame[frame["cell"] == BATCH.id]
    assert rows["test_accuracy_batch"].notna().sum() == 6
    assert frame.loc[frame["cell"] == GROUP.id, "test_accuracy_batch"].isna().all()


def test_members_diverge_alone(tmp_path):
    def loss(member: Member, step: int) -> float:
        bad = member.lr == 1e-2 and member.seed == 1 and step >= 4
        return math.nan if bad else 1.0

    write_run(tmp_path, [BATCH, GROUP], loss=loss)
    frame = load(tmp_path)
    bad = (frame["lr"] == 1e-2) & (frame["seed"] == 1) & (frame["step"] >= 4)
    assert bad.any()
    assert list(frame["diverged"]) == list(bad)


def test_what_is_unfinished_is_there_as_far_as_it_goes(tmp_path):
    write_run(tmp_path, [BATCH, GROUP, NONE], until={BATCH.id: 13, GROUP.id: 0})
    frame = load(tmp_path)
    assert list(dict.fromkeys(frame["cell"])) == [BATCH.id, NONE.id]
    rows = frame[frame["cell"] == BATCH.id]
    assert rows["step"].max() == 12 and (rows["steps"] == 20).all()
    (tmp_path / "cells" / NONE.id / "cell.json").unlink()
    with pytest.raises(UserError, match=r"cell\.json is missing; the same command"):
        load(tmp_path)
    shutil.rmtree(tmp_path / "cells" / NONE.id)
    assert set(load(str(tmp_path))["cell"]) == {BATCH.id}


def test_members_are_named_as_in_the_table(tmp_path):
    cells = [BATCH, GROUP, NONE]
    write_run(tmp_path, cells, until={BATCH.id: 13})
    rows = load(tmp_path).drop_duplicates(["cell", "member"], ignore_index=True)
    found = members(tmp_path)
    pd.testing.assert_frame_equal(found, rows[list(found)], check_dtype=False)
    assert {"label", "batch_size", "lr", "seed"} < set(found)
    assert len(found) == sum(len(cell.members) for cell in cells)


def test_nothing_is_stored_yet(tmp_path):
    write_run(tmp_path, [BATCH], until={BATCH.id: 0})
    with pytest.raises(UserError, match="nothing is stored in .* yet"):
        load(tmp_path)
    write_run(tmp_path / "empty", [])
    with pytest.raises(UserError, match="nothing is stored in .*empty yet"):
        load(tmp_path / "empty")
    with pytest.raises(UserError, match="nothing is stored in .*empty yet"):
        members(tmp_path / "empty")


@pytest.mark.parametrize("read", [load, members])
def test_not_a_run(tmp_path, read):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match=r"not a run directory: .*sweep\.json"):
            read(folder)


def test_damage_is_named(tmp_path):
    paths = write_run(tmp_path, [BATCH])
    part = paths.cell(BATCH.id).metrics / "part-00000020.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(UserError, match=r"part-00000020\.parquet is damaged"):
        load(tmp_path)
    paths.cell(BATCH.id).config.write_text("{")
    with pytest.raises(UserError, match=r"cell\.json is damaged"):
        load(tmp_path)


def test_a_relative_run(tmp_path, monkeypatch):
    write_run(tmp_path / "a b ü", [NONE])
    monkeypatch.chdir(tmp_path)
    assert len(load("a b ü")) == 3 * 21
