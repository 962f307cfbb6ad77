"""Ten members on one device and on four: the same numbers, whoever goes on."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest

from normlab.store.layout import CellPaths, numbered
from normlab.store.path import read_path
from normlab.store.run import cell_status
from normlab.sweep import execute
from normlab.sweep.execute import run_cell
from tests import tiny
from tests.sweep.stopped import Interrupted, StopAfter, frame_of
from tests.sweep.test_execute import OPTIONS

TEN = tiny.cell(
    tiny.members(lrs=(0.01, 0.03, 0.1, 0.2, 0.3), seeds=(0, 1)), steps=12, path_every=3
)


def plan(devices: int):
    return tiny.plan(TEN, execution="map", devices=devices)


def everything(paths: CellPaths):
    """The metrics, and parameters and statistics up to the last step."""
    assert cell_status(paths) == "complete"
    points = dict(read_path(paths.path))
    assert list(points) == [0, 3, 6, 9, 12]
    assert {x.shape[0] for x in jax.tree.leaves(points)} == {10}
    return frame_of(paths), points


def assert_same(found, expected):
    """To the bit: with map every member runs the same loops wherever it is."""
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    jax.tree.map(np.testing.assert_array_equal, found[1], expected[1])


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))


@pytest.fixture(scope="module")
def on_one(tmp_path_factory):
    paths = CellPaths(tmp_path_factory.mktemp("one"))
    run_cell(plan(1), paths, OPTIONS, tiny.Silent())
    return everything(paths)


@pytest.fixture
def interrupted_on_four(tmp_path, often) -> CellPaths:
    """Ten members on four devices: two places are padding."""
    paths = CellPaths(tmp_path / "run")
    with pytest.raises(Interrupted):
        run_cell(plan(4), paths, OPTIONS, StopAfter(2))
    assert 0 < max(numbered(paths.checkpoints)) < TEN.config.steps
    return paths


@pytest.mark.slow
def test_ten_members_on_four_devices_are_those_on_one(tmp_path, on_one):
    assert len(jax.devices()) >= 4
    paths = CellPaths(tmp_path)
    run_cell(plan(4), paths, OPTIONS, tiny.Silent())
    assert_same(everything(paths), on_one)


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow), 4])
def test_a_checkpoint_of_four_goes_on_on_fewer(devices, interrupted_on_four, on_one):
    asked = dataclasses.replace(OPTIONS, devices=str(devices))
    run_cell(plan(devices), interrupted_on_four, asked, tiny.Silent())
    assert_same(everything(interrupted_on_four), on_one)
