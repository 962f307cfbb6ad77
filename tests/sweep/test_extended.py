"""Runs that grow: what was stored stays, and the whole is the run made in one go."""

import os
import shutil
import signal
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from normlab.errors import UserError
from normlab.models import INITS, MODELS
from normlab.store import RunPaths, load
from normlab.store.layout import read_json
from normlab.store.load import load_quantity
from normlab.store.lock import only_writer
from normlab.store.path import read_path
from normlab.sweep import __main__ as sweep
from normlab.sweep import attempt, execute
from normlab.sweep.extended import extended
from tests import tiny
from tests.called import called
from tests.sweep.stopped import Interrupted

WORDS = {
    "dataset": "digits",
    "train_size": "24",
    "model": "tiny",
    "init": "quick",
    "norm": "none,batch",
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
    "compilation_cache": "none",
    "checkpoint_seconds": "0",
}
GROWN = {"norm": "none,batch,layer", "lr": "0.01,0.1,0.03", "num_seeds": "2"}
LONGER = {"steps": "7"}


@pytest.fixture(scope="module", autouse=True)
def _tiny_models():
    with (
        mock.patch.dict(MODELS, tiny=tiny.TinyNet),
        mock.patch.dict(INITS, quick=tiny.QUICK),
        mock.patch.object(sweep, "draw_all", lambda sources, folder: ([], [])),
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
    ours = has[(has["member"] < 2) & (has["norm"] != "layer")].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, had, check_exact=True)
    members = has.drop_duplicates(["cell", "member"])
    assert members.groupby("cell")["member"].apply(list).tolist() == [[*range(6)]] * 3
    assert len(read_json(grown / "sweep.json")["cells"]) == 5


def test_steps_are_added_and_killed_on_the_way(grown, whole, monkeypatch, capsys):
    """All at once: cells that go on, additions, and new cells, killed again and again."""
    train, calls = execute.Population.train, []

    def train_or_die(self, step, count):
        calls.append(step)
        if len(calls) % 4 == 0:
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
    # Cells that were complete have not begun again.
    assert calls.count(0) < 2 * 5
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
