"""Measured from the stored path, a quantity is what a probe had found."""

import dataclasses
import io
import shutil

import jax
import numpy as np
import pandas as pd
import pytest

from normlab.analysis import measure
from normlab.analysis.measure import measure_cell, measure_run
from normlab.analysis.settings import AnalysisOptions
from normlab.errors import UserError
from normlab.members.over import OverMembers
from normlab.members.progress import CountProgress
from normlab.store.layout import CellPaths
from normlab.store.quantities import measured_names, read_quantity
from normlab.sweep.execute import run_cell
from tests import tiny
from tests.landscape import made
from tests.sweep.test_probes import CELL, NAMES, OPTIONS, PLAN


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    paths = CellPaths(tmp_path_factory.mktemp("run"))
    run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    return paths


@pytest.fixture
def copy(run, tmp_path):
    root = tmp_path / "cell"
    shutil.copytree(run.root, root)
    return CellPaths(root)


def options(*names, **changes) -> AnalysisOptions:
    return AnalysisOptions(
        run="anywhere", quantities=names, execution="vmap", **changes
    )


def silent(cell) -> CountProgress:
    return CountProgress(cell, "step", io.StringIO())


def table(paths, name) -> pd.DataFrame:
    found = read_quantity(paths, name)
    assert found is not None
    return found


def test_what_a_probe_had_found(run, copy):
    shutil.rmtree(copy.probes)
    steps = []

    class Shown(CountProgress):
        def __call__(self, done: int, total: int) -> None:
            steps.append((done, total))

    measure_cell(copy, options(*NAMES), {}, Shown)
    assert steps == [(step, 11) for step in (0, 0, 4, 8, 11)]
    for name in NAMES:
        found, expected = table(copy, name), table(run, name)
        if name in ("gradient_lipschitz", "internal_covariate_shift"):
            expected = expected[expected["step"] < 11].reset_index(drop=True)
        assert list(found) == list(expected) and len(found) == len(expected)
        for column in found:
            if found[column].dtype.kind in "if":
                np.testing.assert_allclose(
                    found[column], expected[column], rtol=2e-3, atol=1e-6, err_msg=name
                )
            else:
                assert found[column].tolist() == expected[column].tolist()


@pytest.mark.slow
def test_members_in_chunks_and_fewer_points(run, copy):
    measure_cell(copy, options("gradient_norm", every=8, member_chunk="2"), {}, silent)
    shutil.rmtree(copy.probes)
    found = table(copy, "gradient_norm")
    assert found["step"].unique().tolist() == [0, 8, 11]
    expected = table(run, "gradient_norm")
    expected = expected[expected["step"].isin([0, 8, 11])]
    np.testing.assert_allclose(found["l2"], expected["l2"], rtol=1e-4)


@pytest.mark.slow
def test_other_settings_than_the_runs(copy):
    measure_cell(
        copy, options("effective_smoothness"), {"probe_etas": (0.125, 1.0)}, silent
    )
    found = table(copy, "effective_smoothness")
    assert sorted(found["eta"].unique()) == [0.125, 1.0]


def test_a_later_measurement_counts_where_both_are(run, copy):
    asked = options("effective_smoothness", every=8)
    measure_cell(copy, asked, {"probe_etas": (0.125, 1.0)}, silent)
    etas = table(copy, "effective_smoothness").groupby("step")["eta"].agg(set)
    assert etas[4] == {0.5, 1.0, 2.0, 4.0}
    assert etas[0] == etas[8] == {0.125, 1.0}


def test_what_a_run_cannot_give_is_one_line(copy, tmp_path):
    with pytest.raises(UserError, match="unknown; known: gradient_norm"):
        measure_cell(copy, options("nonsense"), {}, silent)
    with pytest.raises(UserError, match="probe_channels=9: the widest layer has 4"):
        measure_cell(
            copy, options("activation_moments"), {"probe_channels": (9,)}, silent
        )
    shutil.rmtree(copy.path)
    with pytest.raises(UserError, match="no path is stored in .*--path_every"):
        measure_cell(copy, options("gradient_norm"), {}, silent)


def test_too_little_memory_is_one_line(copy, monkeypatch):
    def full(*args):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(OverMembers, "__call__", full)
    with pytest.raises(UserError, match="out of memory with 3 at once.*--member_chunk"):
        measure_cell(copy, options("gradient_norm"), {}, silent)


@pytest.mark.parametrize("conv, execution", [("auto", "vmap"), ("lax", "map")])
def test_members_run_as_suits_the_form_of_the_convolutions(
    conv, execution, copy, monkeypatch
):
    made = []

    class Seen(measure.Runner):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            made.append(self._execution)

    monkeypatch.setattr(measure, "Runner", Seen)
    monkeypatch.setattr(measure, "platform_here", lambda: "gpu")
    asked = dataclasses.replace(options("gradient_norm"), execution="auto", conv=conv)
    measure_cell(copy, asked, {}, silent)
    assert made == [execution]


def test_quantities_about_norms_are_measured_where_there_are_some(tmp_path):
    """A run of two cells, one without a norm."""
    cells = [made.cell(norm) for norm in ("none", "batch")]
    paths = made.write_run(tmp_path, *cells)
    measure_run(paths, options("gradient_norm", "identities"), {}, silent)
    names = [measured_names(paths.cell(cell.id)) for cell in cells]
    assert names == [("gradient_norm",), ("gradient_norm", "identities")]
    with pytest.raises(UserError, match="the network has no such layer"):
        measure_cell(paths.cell(cells[0].id), options("identities"), {}, silent)


def test_without_successive_points_there_is_no_difference(tmp_path):
    config = dataclasses.replace(CELL.config, path_next=False, quantities=())
    cell = dataclasses.replace(CELL, config=config)
    paths = CellPaths(tmp_path / "cell")
    run_cell(tiny.plan(cell), paths, OPTIONS, tiny.Silent())
    with pytest.raises(UserError, match="successive points.*--path_next"):
        measure_cell(paths, options("internal_covariate_shift"), {}, silent)
    assert not paths.analysis.exists()


def test_a_damaged_path_is_one_line(copy):
    largest = max(
        (file for file in copy.path.rglob("*") if file.is_file()),
        key=lambda file: file.stat().st_size,
    )
    largest.write_bytes(b"\0" * largest.stat().st_size)
    with pytest.raises(UserError, match="damaged"):
        measure_cell(copy, options("gradient_norm"), {}, silent)
