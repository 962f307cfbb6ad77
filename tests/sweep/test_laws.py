"""The sweep laws: what may and what may not change a member's numbers."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from normlab.cell import Cell
from normlab.models import CONVS, conv_direct
from normlab.settings.devices import EXECUTIONS
from normlab.sweep.population import Metrics, Population
from normlab.train.program import data_arrays, to_device
from normlab.train.state import TrainState
from tests import tiny
from tests.marks import slow

CALL_STEPS = 6


class Result(NamedTuple):
    """Numpy arrays with a leading member axis."""

    start: TrainState
    end: TrainState
    metrics: Metrics
    evaluation: Metrics  # {} unless asked for


@functools.cache  # several laws look at the same run; nobody writes to it
def run(
    cell: Cell,
    execution: str = "vmap",
    member_chunk: int = 0,
    cuts: tuple[int, ...] = (6, 6),
    evaluate: bool = False,
    devices: int = 1,
    conv: str = "patches",
) -> Result:
    data = tiny.dataset()
    population = Population(
        tiny.program(cell.config, data, conv),
        cell,
        to_device(data_arrays(data)),
        execution=execution,
        member_chunk=member_chunk or len(cell.members),
        call_steps=CALL_STEPS,
        devices=jax.devices()[:devices],
    )
    population.start()
    start, metrics, step = population.state(), [], 0
    for count in cuts:
        metrics.append(population.train(step, count))
        step += count
    joined = {
        k: np.concatenate([part[k] for part in metrics], axis=1) for k in metrics[0]
    }
    evaluation = population.evaluate(12) if evaluate else {}
    return Result(start, population.state(), joined, evaluation)


def take(tree: Any, i) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], tree)


def same_bits(one: Any, other: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def close(one: Any, other: Any) -> None:
    def leaf(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)

    jax.tree.map(leaf, one, other)


def differ(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


def distances(result: Result) -> np.ndarray:
    """Each member's distance from where it started, over all parameters."""
    before, after = (jax.tree.leaves(s.params) for s in (result.start, result.end))
    return np.sqrt(
        sum(
            ((b - a).reshape(len(a), -1).astype(np.float64) ** 2).sum(1)
            for a, b in zip(before, after, strict=True)
        )
    )


# A member is the same point run alone; executions and chunks are not results.


@pytest.mark.parametrize(
    "norm, execution",
    [
        ("batch", "vmap"),
        ("batch", "map"),
        slow("group", "vmap"),
        slow("none", "vmap"),
        slow("batch_noisy", "vmap"),
    ],
)
def test_a_member_equals_the_same_point_run_alone(norm, execution):
    cell = tiny.cell(norm=norm)
    together = run(cell, execution)
    assert (distances(together) > 0.01).all()
    for i in (1, 2):
        alone = run(Cell(cell.config, cell.members[i : i + 1]), execution)
        close(take(alone, 0), take(together, i))
        assert differ(take(alone, 0).end.params, take(together, 0).end.params)


@pytest.mark.parametrize(
    "norm", ["batch", pytest.param("group", marks=pytest.mark.slow)]
)
def test_execution_modes_agree(norm):
    cell = tiny.cell(norm=norm)
    results = [run(cell, execution, evaluate=True) for execution in EXECUTIONS]
    assert set(results[0].evaluation) >= {"train_loss", "test_accuracy"}
    close(results[0], results[1])
    close(results[1], results[2])


@pytest.mark.parametrize(
    "execution, member_chunk",
    [("vmap", 3), slow("vmap", 1), slow("map", 2)],
)
def test_member_chunks_agree(execution, member_chunk):
    """Three of four members: the last chunk is padded."""
    cell = tiny.cell()
    close(
        run(cell, execution, member_chunk, evaluate=True),
        run(cell, execution, evaluate=True),
    )


def test_in_a_loop_or_a_map_chunks_change_no_bit():
    cell = tiny.cell()
    same_bits(run(cell, "loop", 3), run(cell, "loop"))
    same_bits(run(cell, "map", 2), run(cell, "map"))


@pytest.mark.parametrize("cuts", [(1, 6, 5), (3, 2, 4, 3)])
def test_cuts_change_no_bit(cuts):
    cell = tiny.cell()
    same_bits(run(cell, cuts=cuts), run(cell))


# What a learning rate does.


@pytest.mark.parametrize("optimizer", ["sgd", slow("momentum"), slow("adam"), "adamw"])
def test_learning_rate_zero_leaves_the_parameters_untouched(optimizer):
    lrs = (0.0, 0.05)
    members = tiny.members(lrs, momentum=0.9, weight_decay=0.1)
    result = run(tiny.cell(members, optimizer=optimizer, norm="batch"))
    still, moved = take(result, 0), take(result, 1)
    same_bits(still.start.params, still.end.params)
    kernels = [state.params["conv1"]["kernel"] for state in (moved.start, moved.end)]
    assert np.all(kernels[0] != kernels[1])
    # The rest goes on: steps are counted, and running averages follow the batches.
    assert still.end.step == 12
    assert differ(still.start.batch_stats, still.end.batch_stats)


def test_a_larger_learning_rate_moves_farther_in_a_step():
    lrs = (0.0, 0.01, 0.1, 1.0)
    found = distances(run(tiny.cell(tiny.members(lrs, seeds=(3,))), cuts=(1,)))
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found, np.array(lrs) * found[3], rtol=1e-4)


# What one member does to another.


@pytest.mark.parametrize(
    "norm, execution", [("batch", "map"), ("batch", "vmap"), ("none", "vmap")]
)
@pytest.mark.faults
def test_a_diverging_member_leaves_the_others_bit_identical(norm, execution):
    calm = tiny.members(lrs=(0.01, 0.1), seeds=(0, 1))
    wild = (*calm[:1], dataclasses.replace(calm[1], lr=1e30), *calm[2:])
    sound = run(tiny.cell(calm, norm=norm), execution)
    result = run(tiny.cell(wild, norm=norm), execution)
    assert not np.isfinite(result.metrics["batch_loss"][1]).all()
    assert not np.isfinite(distances(result)[1])
    others = np.array([0, 2, 3])
    assert np.isfinite(sound.metrics["batch_loss"]).all()
    same_bits(take(result, others), take(sound, others))  # metrics, states: all


def test_members_keep_their_own_batch_statistics():
    result = run(tiny.cell(norm="batch"))
    means = result.end.batch_stats["norm1"]["mean"]
    assert len({row.tobytes() for row in means}) == 4


# What a seed means.


def test_a_seed_is_initialisation_and_batch_order():
    """lr 0: the losses along training then show the batches alone."""
    one, other = tiny.members(lrs=(0.0,), seeds=(0, 1))
    members = (one, one, other, dataclasses.replace(one, weight_decay=0.5))
    result = run(tiny.cell(members, norm="none"))
    same_bits(take(result.start.params, 0), take(result.start.params, 1))
    same_bits(take(result.start.params, 0), take(result.start.params, 3))
    assert np.all(
        result.start.params["conv1"]["kernel"][0]
        != result.start.params["conv1"]["kernel"][2]
    )
    losses = result.metrics["batch_loss"]
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_array_equal(losses[0], losses[3])
    assert len(np.unique(losses[0])) == 12  # every step another batch
    assert np.all(losses[0] != losses[2])


def test_learning_rates_of_a_seed_share_the_first_loss():
    losses = run(tiny.cell()).metrics["batch_loss"]
    assert losses[0, 0] == losses[1, 0] != losses[2, 0] == losses[3, 0]
    assert np.all(losses[0, 1:] != losses[1, 1:])


def batches_seen(members, steps):
    """The indices that a population hands to its program."""
    data = tiny.dataset()
    cell = tiny.cell(members)
    population = Population(
        tiny.program(cell.config, data),
        cell,
        {},
        execution="vmap",
        member_chunk=3,
        call_steps=steps,
    )
    return population._indices(np.arange(3), 0, steps)


def test_two_seeds_see_the_images_in_another_order():
    seen = batches_seen(tiny.members(lrs=(0.1, 0.2), seeds=(0, 1)), steps=4)
    assert seen.shape == (3, 4, 5)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()
    for order in seen:
        assert len(np.unique(order)) == 20  # within the first epoch, each image once


def test_augmentation_is_shared_by_a_seed_and_changes_what_is_seen():
    members = tiny.members(lrs=(0.0, 0.1), seeds=(0, 1))
    plain = run(tiny.cell(members), cuts=(6,)).metrics["batch_loss"]
    cell = tiny.cell(members, augment="flip_crop")
    drawn = run(cell, cuts=(6,)).metrics["batch_loss"]
    again = run(cell, cuts=(1, 3, 2)).metrics["batch_loss"]
    assert np.all(plain[0] != drawn[0])
    assert drawn[0, 0] == drawn[1, 0]
    np.testing.assert_array_equal(drawn, again)


# Where members are computed.


@pytest.mark.parametrize(
    "execution, member_chunk",
    [("map", 2), slow("map", 0), slow("vmap", 0)],
)
def test_devices_change_no_result(execution, member_chunk):
    """Four members on three devices: two are padded; in chunks of three, too."""
    cell = tiny.cell()
    one = run(cell, execution=execution, evaluate=True)
    two = run(
        cell, execution=execution, member_chunk=member_chunk, evaluate=True, devices=3
    )
    close(one, two)
    assert two.metrics["batch_loss"].shape == (4, 12)


def test_members_are_spread_over_the_devices():
    cell, data = tiny.cell(), tiny.dataset()
    population = Population(
        tiny.program(cell.config, data),
        cell,
        to_device(data_arrays(data)),
        execution="map",
        member_chunk=4,
        call_steps=CALL_STEPS,
        devices=jax.devices()[:2],
    )
    population.start()
    population.train(0, 2)
    for leaf in jax.tree.leaves(population._states):
        assert {s.device for s in leaf.addressable_shards} == set(jax.devices()[:2])
        assert all(s.data.shape[0] == 2 for s in leaf.addressable_shards)


def test_a_diverging_member_on_another_device_touches_no_other():
    calm = tiny.members(lrs=(0.01, 0.02, 0.03, 0.04), seeds=(0,))
    wild = (*calm[:3], dataclasses.replace(calm[3], lr=1e30))
    one = run(tiny.cell(calm), execution="map", devices=2)
    two = run(tiny.cell(wild), execution="map", devices=2)
    assert not np.isfinite(two.metrics["batch_loss"][3]).all()
    same_bits(take(one.end.params, slice(3)), take(two.end.params, slice(3)))


def test_the_form_of_the_convolution_changes_no_result(monkeypatch):
    """The network's own kernel is thin; made to count as wide, it is convolved."""
    cell = tiny.cell()
    patches = run(cell, execution="map", evaluate=True)
    direct_always = functools.partial(conv_direct.conv_general_dilated, thin=0)
    monkeypatch.setitem(CONVS, "direct", direct_always)
    direct = run(cell, execution="map", evaluate=True, conv="direct")
    close(patches, direct)
    assert differ(patches.end.params, direct.end.params)  # by rounding


# Looking changes nothing.


def test_measuring_changes_no_bit_of_training():
    cell = tiny.cell(augment="flip_crop")
    data = tiny.dataset()

    def train(look):
        population = Population(
            tiny.program(cell.config, data),
            cell,
            to_device(data_arrays(data)),
            execution="vmap",
            member_chunk=4,
            call_steps=CALL_STEPS,
        )
        population.start()
        for step in range(0, 12, 3):
            if look:
                population.evaluate(step)
                population.state()
            population.train(step, 3)
        return population.state()

    same_bits(train(look=True), train(look=False))
    assert differ(train(look=True), run(cell, cuts=(3,)).end)
