"""Runs that grow: what was stored stays, and the whole is the run made in one go."""

import shutil
from collections import defaultdict
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from normlab.api import sweep as steps
from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.models import INITS, MODELS
from normlab.store import RunPaths, load
from normlab.store.layout import read_json
from normlab.store.load import load_quantity
from normlab.store.lock import only_writer
from normlab.store.metrics import read_parts, write_metrics
from normlab.store.path import read_path
from normlab.sweep import __main__ as sweep
from normlab.sweep import execute
from normlab.sweep.extended import extended
from tests import tiny
from tests.called import called
from tests.sweep.stopped import Interrupted

WORDS = {
    "dataset": "digits",
    "train_size": "24",
    "model": "tiny",
    "init": "quick",
    "norm": "batch",
    "batch_size": "8",
    "lr": "0.01,0.1",
    "num_seeds": "1",
    "steps": "4",
    "eval_every": "2",
    "path_every": "3",
    "quantities": "parameter_norm",
    "train_eval_size": "16",
    "eval_batch_size": "50",
    "devices": "1",
    "execution": "map",
    "member_chunk": "1",  # one program for every number of members
    "checkpoint_seconds": "0",
    "compilation_cache": "none",  # the tests' own is there
}
GROWN = {"norm": "batch,none", "lr": "0.01,0.1,0.03", "num_seeds": "2"}
LONGER = {"steps": "7"}


@pytest.fixture(scope="module", autouse=True)
def _tiny_models():
    with (
        mock.patch.dict(MODELS, tiny=tiny.TINY),
        mock.patch.dict(INITS, quick=tiny.QUICK),
        mock.patch.object(steps, "draw_all", lambda sources, folder: ([], [])),
    ):
        yield


def run(out, *flags: str, **changes: str) -> int:
    words = [f"--{name}={value}" for name, value in (WORDS | changes).items()]
    return called(sweep.main, sweep.flag_values(), (*words, f"--out={out}", *flags))


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    out = tmp_path_factory.mktemp("short") / "run"
    assert run(out) == 0
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that the others grow into, made in one go."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(out, **GROWN, **LONGER) == 0
    return out


@pytest.fixture
def grown(short, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(short, out)
    return out


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows told by what their networks are, not by the numbers of these."""
    keys = ["cell", "seed", "lr", "step"]
    return frame.drop(columns="member").sort_values(keys, ignore_index=True)


def assert_same(found, expected) -> None:
    for read in (load, lambda run: load_quantity(run, "parameter_norm")):
        pd.testing.assert_frame_equal(
            in_order(read(found)), in_order(read(expected)), check_exact=True
        )


def test_seeds_rates_and_cells_are_added(grown, short, tmp_path, capsys):
    files = {p: p.read_bytes() for p in (grown / "cells").rglob("*") if p.is_file()}
    assert run(grown, "--extend", **GROWN) == 0
    assert "batch (members from 2 on)" in capsys.readouterr().out
    expected = tmp_path / "expected"
    assert run(expected, **GROWN) == 0
    assert_same(grown, expected)
    assert all(path.read_bytes() == text for path, text in files.items())
    had, has = load(short), load(grown)
    ours = has[(has["member"] < 2) & (has["norm"] == "batch")].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, had, check_exact=True)
    members = has.drop_duplicates(["cell", "member"])
    assert members.groupby("cell")["member"].apply(list).tolist() == [[*range(6)]] * 2
    assert len(read_json(grown / "sweep.json")["cells"]) == 3


def test_steps_are_added_and_killed_on_the_way(grown, whole, monkeypatch, capsys):
    """Cells that go on, additions and new cells, killed again and again."""
    train, calls = execute.Population.train, defaultdict(list)
    (old,) = read_json(grown / "sweep.json")["cells"]

    def train_or_die(self, step, count):
        calls[self._cell.config.norm, self._cell.first].append(step)
        if sum(map(len, calls.values())) % 4 == 0:
            raise Interrupted
        return train(self, step, count)

    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setattr(execute.Population, "train", train_or_die)
    had = load(grown)
    failures = 0
    while run(grown, "--extend", **GROWN, **LONGER):
        failures += 1
        assert failures < 20
    assert failures >= 2
    # The cell that was complete has gone on under its new name.
    begun = {cell: min(steps) for cell, steps in calls.items()}
    assert begun == {("batch", 0): 4, ("batch", 2): 0, ("none", 0): 0}
    assert not (grown / "cells" / old).exists()
    assert_same(grown, whole)
    keys = ["norm", "seed", "lr", "step"]
    both = had.merge(load(grown), on=keys, suffixes=("", "_now"))
    stored = both[both["step"] < 4]
    assert len(both) == len(had)
    for name in ("batch_loss", "gradient_norm"):
        np.testing.assert_array_equal(stored[name], stored[f"{name}_now"])
    np.testing.assert_array_equal(both["test_loss"], both["test_loss_now"])
    for cell in RunPaths.at(whole).cells.iterdir():
        assert [s for s, _ in read_path(cell / "path")] == [0, 3, 6, 7]


def test_two_shards_extend_a_run(grown, tmp_path, capsys):
    assert run(grown, "--extend", "--shard=0/2", lr="0.01,0.1,0.03") == 0
    assert "1 of 2 cells complete, 1 waiting" in capsys.readouterr().out
    # Only the one that comes first must say so.
    assert run(grown, "--shard=1/2", lr="0.01,0.1,0.03") == 0
    assert "final test_accuracy" in capsys.readouterr().out
    assert load(grown).groupby("lr").size().tolist() == [5, 5, 5]


def test_killed_before_the_cells_have_their_new_names(grown, monkeypatch):
    def killed(*args):
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(steps, "move_cells", killed)
        with pytest.raises(Interrupted):
            run(grown, "--extend", steps="5")
    assert run(grown, steps="5") == 0
    assert load(grown)["step"].tolist() == [*range(6)] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": "0.01"}, "--extend: --lr=0.1 is in the run, but not in the flags"),
        ({"batch_size": "8,4", "num_seeds": "0"}, "--num_seeds"),
        ({"steps": "3"}, "has 4 steps, but the flags ask for 3"),
        ({"seed": "1"}, "--extend: seed 0 is in the run, but not in the flags"),
        ({"eval_every": "1"}, "--extend: --eval_every is 2 in the run and 1 in the"),
        ({"norm": "none"}, "--extend: --norm=batch is in the run, but not in the"),
    ],
)
def test_what_does_not_only_add_is_refused(short, changes, message, capsys):
    before = (short / "sweep.json").read_bytes()
    assert run(short, "--extend", **changes) == 1
    text = capsys.readouterr().err
    assert message in text and text.count("\n") == 1
    assert (short / "sweep.json").read_bytes() == before


def test_without_the_flag_the_message_names_it(short, capsys):
    assert run(short, num_seeds="2") == 1
    text = capsys.readouterr().err
    assert "--num_seeds: 1 there, 2 requested" in text and "--extend" in text


def test_a_run_that_is_going_on_is_not_extended(grown, capsys):
    (cell,) = read_json(grown / "sweep.json")["cells"]
    with only_writer(RunPaths.at(grown).cell(cell).lock):
        assert run(grown, "--extend", num_seeds="2") == 1
    assert "extend the run when it has ended" in capsys.readouterr().err


def cells_of(*configs: SweepConfig) -> list[Cell]:
    *before, config = configs
    return list(extended(before, config, {"digits": 64}))


def test_ids_do_not_change_when_members_are_added():
    one, two, three = (tiny.sweep_config(num_seeds=n) for n in (2, 3, 5))
    cells = cells_of(one, two, three)
    assert [cell.id for cell in cells if not cell.first] == [
        cell.id for cell in cells_of(one)
    ]
    assert [cell.first for cell in cells] == [0, 4, 6] * 3
    numbered = [m for cell in cells[:3] for m in cell.members]
    assert set(numbered) == set(cells_of(three)[0].members) and len(numbered) == 10
    assert cells_of(three, three) == cells_of(three)


def test_regrouping_where_the_run_ended_is_refused():
    of = {"norm": ("group_correlated",), "grouping": ("random",), "regroup_at": (2,)}
    six, seven = (tiny.sweep_config(regroup_every=(4,), steps=n, **of) for n in (6, 7))
    with pytest.raises(UserError, match="regrouped at step 6"):
        cells_of(six, seven)
    assert cells_of(*(tiny.sweep_config(steps=n, **of) for n in (5, 7)))


def test_parts_that_meet_where_a_run_ended(tmp_path):
    """Also if a member of the one has no row in the other."""
    end = {"member": [0, 0, 1, 1, 2, 2], "step": [0, 1] * 3}
    end |= {"batch_loss": [1.0, None] * 3, "test_loss": [5.0, np.nan, 6.0, 7.0, 8.0, 9]}
    write_metrics(tmp_path, 1, pa.table(end))
    more = {"member": [0, 0, 2, 2], "step": [1, 2, 1, 2]}
    more |= {"batch_loss": [2.0, None, 3.0, None], "test_loss": [None, 4.0, None, 4.5]}
    write_metrics(tmp_path, 2, pa.table(more))
    table = read_parts(tmp_path)
    assert table is not None
    rows = zip(*(table[name].to_pylist() for name in end), strict=True)
    found = {(member, step): tuple(rest) for member, step, *rest in rows}
    assert len(found) == len(table) == 8
    assert found[1, 1] == (None, 7.0) and found[2, 1] == (3.0, 9.0)
    assert found[0, 1][0] == 2.0 and np.isnan(found[0, 1][1])
