"""Quantities measured while training: they change nothing, and a stop loses none."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from normlab.data.batches import batch_indices
from normlab.norms import make_norm
from normlab.quantities import QUANTITIES
from normlab.run_options import RunOptions
from normlab.store import checkpoints
from normlab.store.layout import CellPaths
from normlab.store.path import read_path
from normlab.store.quantities import measured_names, read_quantity
from normlab.store.run import cell_status
from normlab.sweep import execute
from normlab.sweep.execute import run_cell
from normlab.train.optimizers import values_of
from normlab.train.program import data_arrays
from normlab.train.step import make_loss
from tests import tiny
from tests.sweep.stopped import Interrupted, StopAfter, frame_of, same_bits

NAMES = (
    "gradient_norm",
    "effective_smoothness",
    "gradient_lipschitz",
    "internal_covariate_shift",
    "activation_moments",
    "activation_histogram",
)
# As many members as in `test_execute`, whose programs these are too.
BARE = tiny.cell(
    tiny.members()[:3], optimizer="adam", augment="flip_crop", steps=11, eval_every=5
)
CELL = dataclasses.replace(
    BARE,
    config=dataclasses.replace(
        BARE.config,
        quantities=NAMES,
        probe_every=4,
        probe_channels=(0, 3),
        probe_bins=6,
        path_every=4,
        path_next=True,
    ),
)
OPTIONS = RunOptions(checkpoint_seconds=0.0, call_steps=4)
PLAN = tiny.plan(CELL)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    paths = CellPaths(tmp_path_factory.mktemp("measured"))
    run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    return paths


def final_state(paths):
    seeds = jnp.zeros(len(CELL.members), jnp.int32)
    values = values_of(CELL.members, CELL.hyperparameters)
    like = jax.eval_shape(jax.vmap(PLAN.program.init), seeds, values)
    return checkpoints.load(paths.checkpoints, CELL.config.steps, like)


def table(paths, name) -> pd.DataFrame:
    found = read_quantity(paths, name)
    assert found is not None
    return found


def test_measuring_changes_no_bit_of_training(measured, tmp_path):
    paths = CellPaths(tmp_path / "bare")
    run_cell(tiny.plan(BARE), paths, OPTIONS, tiny.Silent())
    assert measured_names(paths) == () and measured_names(measured) == tuple(
        sorted(NAMES)
    )
    same_bits(final_state(paths), final_state(measured))
    pd.testing.assert_frame_equal(frame_of(paths), frame_of(measured), check_exact=True)


def test_rows_are_the_members_steps_and_entries(measured):
    for name in NAMES:
        found = table(measured, name)
        axes = QUANTITIES[name].axes
        probe = PLAN.program.probe
        assert probe is not None
        sizes = [len(probe.site.labels(axis)) for axis in axes]
        steps = [0, 4, 8, 11]
        assert len(found) == 3 * len(steps) * np.prod(sizes, dtype=int), name
        assert sorted(found["step"].unique()) == steps
        assert not found.duplicated(["member", "step", *axes]).any()


def test_the_gradient_norm_is_that_of_training(measured):
    """The metric of step t and the probe at step t are of one gradient."""
    found = table(measured, "gradient_norm")
    whole = found[found["part"] == "all"].set_index(["member", "step"])["l2"]
    metric = frame_of(measured).set_index(["member", "step"])["gradient_norm"]
    both = whole[whole.index.get_level_values("step") < 11]
    np.testing.assert_allclose(both, metric.loc[both.index], rtol=1e-5)
    layers = found[found["part"] != "all"].groupby(["member", "step"])["l2"]
    squares = layers.apply(lambda x: np.sqrt((x**2).sum()))
    np.testing.assert_allclose(squares, whole.loc[squares.index], rtol=1e-5)


def test_the_next_point_is_where_training_went(measured):
    """The step between stored successive points, measured as a distance."""
    points = dict(read_path(measured.path))
    assert sorted(points) == [0, 1, 4, 5, 8, 9, 11]
    found = table(measured, "gradient_lipschitz")
    distances = {(s, m): d for s, m, d in found[["step", "member", "distance"]].values}
    for step in (0, 4, 8):
        for member in range(3):
            squares = [
                ((new[member] - old[member]).astype(np.float64) ** 2).sum()
                for new, old in zip(
                    jax.tree.leaves(points[step + 1]["params"]),
                    jax.tree.leaves(points[step]["params"]),
                    strict=True,
                )
            ]
            expected = np.sqrt(sum(squares))
            np.testing.assert_allclose(distances[step, member], expected, rtol=1e-5)


def test_smoothness_by_the_slow_way(tmp_path):
    """One member, one step, every eta: losses and gradients one by one."""
    asked = {"quantities": NAMES[1:2], "probe_every": 4, "path_every": 4}
    cell = tiny.cell(**asked)
    paths = CellPaths(tmp_path / "cell")
    plan = tiny.plan(cell)
    run_cell(plan, paths, RunOptions(call_steps=6), tiny.Silent())
    found = table(paths, "effective_smoothness")
    member, step = 1, 4
    variables = dict(read_path(paths.path))[step]
    params, stats = jax.tree.map(
        lambda leaf: jnp.asarray(leaf[member]),
        (variables["params"], variables["batch_stats"]),
    )
    arrays = data_arrays(plan.dataset)
    seed = cell.members[member].seed
    picked = batch_indices(seed, step, 1, 5, 24)[0]
    images = arrays["train_x"].astype(np.float64)
    mean, std = images.mean((0, 1, 2)), images.std((0, 1, 2))
    x = jnp.asarray((images[picked] - mean) / std, jnp.float32)
    y = jnp.asarray(arrays["train_y"][picked])
    norm = make_norm("batch", norm_momentum=0.9)
    model = tiny.TinyNet(norm=norm, initializers=tiny.QUICK, classes=3)
    loss = make_loss(model)
    gradient_of = jax.jit(jax.value_and_grad(lambda p: loss(p, stats, x, y)[0]))

    def flat(tree):
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]).astype(
            float
        )

    _, gradient = gradient_of(params)
    lr = cell.members[member].lr
    rows = found[(found["member"] == member) & (found["step"] == step)]
    assert rows["eta"].tolist() == [0.5, 1.0, 2.0, 4.0]
    for _, row in rows.iterrows():
        length = row["eta"] * lr
        there = jax.tree.map(lambda p, g, d=length: p - d * g, params, gradient)
        value, other = gradient_of(there)
        g, h = flat(gradient), flat(other)
        away = np.linalg.norm(g - h)
        np.testing.assert_allclose(row["loss"], value, rtol=1e-5)
        np.testing.assert_allclose(row["difference"], away, rtol=1e-3)
        expected = away / (length * np.linalg.norm(g))
        np.testing.assert_allclose(row["beta"], expected, rtol=1e-3)
        np.testing.assert_allclose(
            row["distance"], length * np.linalg.norm(g), rtol=1e-4
        )


@pytest.mark.parametrize("name", ["activation_moments", "activation_histogram"])
def test_activations_are_standardized_by_the_norm(measured, name):
    found = table(measured, name)
    assert found["channel"].unique().tolist() == [0, 3]
    start = found[(found["step"] == 0) & (found["side"] == "after")]
    if name == "activation_moments":  # scale 1 and bias 0 at the start
        np.testing.assert_allclose(start["mean"], 0, atol=1e-5)
        np.testing.assert_allclose(start["std"], 1, atol=1e-3)
        before = found[(found["step"] == 0) & (found["side"] == "before")]
        assert (abs(before["mean"]) > 1e-3).all()
        # Which no scale and shift of a channel changes.
        same = start["skewness"].to_numpy(), before["skewness"].to_numpy()
        assert (abs(same[0]) > 1e-3).all()
        np.testing.assert_allclose(*same, atol=1e-3)
    else:
        counts = found.groupby(["member", "step", "side", "channel"])["count"].sum()
        assert (counts == 5 * 6 * 6).all()
        assert (found["left"] < found["right"]).all()


def test_stopped_anywhere_the_same_is_measured(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))
    paths = CellPaths(tmp_path / "cell")
    calls = iter([1, 2, 1, 3, 2, 1, 9, 9, 9, 9])
    interruptions = 0
    while cell_status(paths) != "complete":
        try:
            run_cell(PLAN, paths, OPTIONS, StopAfter(next(calls)))
        except Interrupted:
            interruptions += 1
    assert interruptions >= 2
    for name in NAMES:
        pd.testing.assert_frame_equal(
            table(paths, name), table(measured, name), check_exact=True
        )


@pytest.mark.parametrize(
    ("member_chunk", "devices"), [pytest.param(2, 1, marks=pytest.mark.slow), (3, 2)]
)
def test_chunks_and_devices_measure_the_same(measured, tmp_path, member_chunk, devices):
    paths = CellPaths(tmp_path / "cell")
    config = dataclasses.replace(CELL.config, quantities=("gradient_norm",))
    cell = dataclasses.replace(CELL, config=config)
    run_cell(
        tiny.plan(cell, execution="map", member_chunk=member_chunk, devices=devices),
        paths,
        OPTIONS,
        tiny.Silent(),
    )
    found, expected = (table(p, "gradient_norm") for p in (paths, measured))
    keys = ["member", "step", "part"]
    pd.testing.assert_frame_equal(found[keys], expected[keys])
    np.testing.assert_allclose(found["l2"], expected["l2"], rtol=1e-3)
