"""Members that differ in their grouping of channels alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from normlab.cell import Cell
from normlab.data.batches import batch_indices
from normlab.grouping import GROUPINGS, Channels, assign, score
from normlab.run_options import RunOptions
from normlab.settings.devices import EXECUTIONS
from normlab.store import checkpoints
from normlab.store.layout import CellPaths, numbered
from normlab.store.path import read_path
from normlab.store.run import cell_status, read_cell
from normlab.sweep import execute
from normlab.sweep.execute import run_cell
from normlab.sweep.population import Population
from normlab.train.optimizers import values_of
from normlab.train.program import data_arrays, to_device
from tests import tiny
from tests.marks import slow
from tests.sweep.stopped import Interrupted, StopAfter, frame_of, same_bits
from tests.sweep.test_laws import close, take

SETTINGS = {"norm": "group_correlated", "groups": 2, "width": 2.0}
SEED = 1


def cell_of(*groupings: str, **changes) -> Cell:
    """One seed and learning rate in every grouping, of eight channels in two groups."""
    (member,) = tiny.members(lrs=(0.1,), seeds=(SEED,))
    members = tuple(dataclasses.replace(member, grouping=name) for name in groupings)
    return tiny.cell(members, **SETTINGS | changes)


EVERY = cell_of(*GROUPINGS)


def population_of(
    cell: Cell, execution: str = "vmap", member_chunk: int = 0, devices: int = 1
):
    data = tiny.dataset()
    found = Population(
        tiny.program(cell.config, data),
        cell,
        to_device(data_arrays(data)),
        execution=execution,
        member_chunk=member_chunk or len(cell.members),
        call_steps=6,
        devices=jax.devices()[:devices],
    )
    found.start()
    return found


def trained(
    cell: Cell, execution: str = "vmap", member_chunk: int = 0, devices: int = 1
):
    """Grouped at steps 0 and 6 of 12: (final state, losses of each step)."""
    population = population_of(cell, execution, member_chunk, devices)
    losses = []
    for step in (0, 6):
        population.regroup(step)
        losses.append(population.train(step, 6)["batch_loss"])
    return population.state(), np.concatenate(losses, axis=1)


def assignments_of(state) -> np.ndarray:
    return state.batch_stats["norm1"]["assignment"]


@pytest.fixture(scope="module")
def together():
    return trained(EVERY)


# What a grouping does.


def test_groups_are_what_the_groupings_make_of_the_batch():
    """The slow way: the norm's input by the layer's own product."""
    population = population_of(EVERY)
    before = population.state()
    population.regroup(0)
    after = population.state()
    same_bits(dataclasses.replace(after, batch_stats=before.batch_stats), before)
    data = tiny.dataset()
    images = data.train_x.astype(np.float64)
    x = (images - images.mean((0, 1, 2))) / images.std((0, 1, 2))
    x = x[batch_indices(SEED, 0, 1, 5, 24)[0]]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    kernel = before.params["conv1"]["kernel"][0]
    y = np.einsum("nhwcij,ijcd->nhwd", patches, kernel).reshape(-1, 8)
    channels = Channels(y.mean(0), y.var(0), np.corrcoef(y.T))
    found = dict(zip(GROUPINGS, assignments_of(after), strict=True))
    for name, assignment in found.items():
        assert assignment.dtype == np.int32
        expected = assign(name, channels, 2, (SEED, 0))
        np.testing.assert_array_equal(assignment, expected, err_msg=name)
    r = {name: score(channels.correlation, a) for name, a in found.items()}
    assert r["correlated"] > r["sequential"] > r["anti_correlated"]


def test_groupings_begin_alike_and_train_apart(together):
    """Same seed, same first batch; the groups of that batch alone differ."""
    state, losses = together
    start = population_of(EVERY).train(0, 1)["batch_loss"]
    assert len(np.unique(start)) == 1
    different = np.unique(assignments_of(state), axis=0)
    assert len(different) >= 3
    assert len(np.unique(losses[:, -1])) >= len(different)


def test_sequential_groups_train_as_group_norm(together):
    (member,) = tiny.members(lrs=(0.1,), seeds=(SEED,))
    plain = population_of(tiny.cell((member,), **SETTINGS | {"norm": "group"}))
    losses = [plain.train(step, 6)["batch_loss"][0] for step in (0, 6)]
    state = take(together[0], list(GROUPINGS).index("sequential"))
    np.testing.assert_array_equal(assignments_of(state), np.arange(8) // 4)
    close(take(plain.state().params, 0), state.params)
    close(np.concatenate(losses), together[1][list(GROUPINGS).index("sequential")])
    moved = plain.state().params["conv1"]["kernel"][0]
    assert np.all(moved != population_of(EVERY).state().params["conv1"]["kernel"][0])


# The sweep laws.


def test_all_groupings_run_through_one_program():
    population = population_of(EVERY)
    population.train(0, 3)
    program, seconds = population.training_program, population.compile_seconds
    population.regroup(3)
    own = population.compile_seconds - seconds
    assert own > 0  # the statistics' program, once
    population.train(3, 3)
    population.regroup(6)
    population.restore(population.state())
    population.train(6, 3)
    assert population.training_program is program
    assert population.compile_seconds == seconds + own


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name if name == "correlated" else pytest.param(name, marks=pytest.mark.slow)
        for name in GROUPINGS
    ],
)
def test_a_member_equals_the_same_point_run_alone(name, together):
    i = list(GROUPINGS).index(name)
    state, losses = trained(cell_of(name))
    np.testing.assert_array_equal(
        assignments_of(state)[0], assignments_of(together[0])[i]
    )
    close(take(state, 0), take(together[0], i))
    close(losses[0], together[1][i])


@pytest.mark.parametrize("execution", [EXECUTIONS[1], *map(slow, EXECUTIONS[2:])])
def test_executions_agree(execution, together):
    close(trained(EVERY, execution), together)


@pytest.mark.parametrize("member_chunk, devices", [(2, 1), slow(3, 1), slow(5, 2)])
def test_member_chunks_and_devices_agree(member_chunk, devices, together):
    """Five members: in chunks of two and three, and on two devices, one is padded."""
    close(trained(EVERY, member_chunk=member_chunk, devices=devices), together)


def test_a_diverged_member_keeps_its_groups_and_touches_no_other():
    wild = dataclasses.replace(EVERY.members[3], lr=1e30)
    cell = dataclasses.replace(EVERY, members=(*EVERY.members[:3], wild))
    calm = dataclasses.replace(EVERY, members=EVERY.members[:4])
    (state, losses), (sound, steady) = trained(cell), trained(calm)
    assert not np.isfinite(losses[3]).all() and np.isfinite(steady).all()
    same_bits(take(state, slice(3)), take(sound, slice(3)))
    population = population_of(cell)
    population.regroup(0)
    at_start = assignments_of(population.state())[3]
    np.testing.assert_array_equal(assignments_of(state)[3], at_start)


# Through the store.

CELL = cell_of(
    *GROUPINGS,
    steps=14,
    eval_every=5,
    path_every=1,
    regroup_at=3,
    regroup_every=4,
    optimizer="adam",
    augment="flip",
)
PLAN = tiny.plan(CELL)
OPTIONS = RunOptions(checkpoint_seconds=0.0, call_steps=6)


def everything(paths: CellPaths):
    assert cell_status(paths) == "complete"
    newest = max(numbered(paths.checkpoints))
    seeds = jnp.zeros(len(CELL.members), jnp.int32)
    values = values_of(CELL.members, CELL.hyperparameters)
    like = jax.eval_shape(jax.vmap(PLAN.program.init), seeds, values)
    state = checkpoints.load(paths.checkpoints, newest, like)
    return frame_of(paths), state, list(read_path(paths.path))


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    paths = CellPaths(tmp_path_factory.mktemp("whole"))
    run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    return paths


def test_groups_change_at_the_steps_asked_for_alone(never_stopped):
    assert read_cell(never_stopped) == CELL
    along = {
        step: point["batch_stats"]["norm1"]["assignment"]
        for step, point in read_path(never_stopped.path)
    }
    assert sorted(along) == list(range(15))
    start = np.tile(np.arange(8) // 4, (len(GROUPINGS), 1))
    changes = [0]
    for step in range(15):
        if step < 3:
            np.testing.assert_array_equal(along[step], start)
        elif not np.array_equal(along[step], along[step - 1]):
            changes.append(step)
    assert changes[1] == 3 and set(changes) <= {0, 3, 7, 11}
    assert len(changes) > 2  # they do follow the data
    fixed = [list(GROUPINGS).index(name) for name in ("sequential", "random")]
    for step in range(3, 15):
        np.testing.assert_array_equal(along[step][fixed], along[3][fixed])


def test_interrupted_anywhere_it_ends_in_the_same_bits(
    never_stopped, tmp_path, monkeypatch
):
    """Twice where channels are grouped, once just after."""
    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))
    paths = CellPaths(tmp_path / "cell")
    for count, saved in ((3, 3), (4, 7), (1, 8)):
        with pytest.raises(Interrupted):
            run_cell(PLAN, paths, OPTIONS, StopAfter(count))
        assert max(numbered(paths.checkpoints)) == saved
    run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    found, expected = everything(paths), everything(never_stopped)
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    same_bits(found[1:], expected[1:])
