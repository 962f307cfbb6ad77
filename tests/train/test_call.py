"""Many steps in one call, however they are cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.metrics import STEP_METRICS
from normlab.train.program import data_arrays
from tests import tiny

STEPS = 7
CUTS = [(7,), (1,) * 7, (3, 4), (1, 6), (5, 2), (2, 3, 2)]


@pytest.fixture(scope="module")
def run():
    """``run(cuts, call_steps) -> (states after each cut, metrics of all steps)``."""
    data = tiny.dataset()
    config = tiny.cell_config(optimizer="adam", augment="flip_crop")
    program = tiny.program(config, data)
    arrays = {k: jnp.asarray(v) for k, v in data_arrays(data).items()}
    values = {"lr": 0.05, "momentum": 0.0, "weight_decay": 0.1}
    hyper = {k: jnp.float32(v) for k, v in values.items()}
    start = jax.jit(program.init)(jnp.int32(3), hyper)
    call = jax.jit(program.call)
    batches = np.random.default_rng(1).integers(0, 24, (STEPS, 5), np.int32)

    def run(cuts, call_steps=STEPS):
        state, states, metrics, at = start, [start], [], 0
        for count in cuts:
            # Beyond count there is rubbish, which must not be read.
            indices = np.full((call_steps, 5), 23, np.int32)
            indices[:count] = batches[at : at + count]
            state, found = call(state, jnp.asarray(indices), jnp.int32(count), arrays)
            states.append(state)
            metrics.append({k: np.asarray(v) for k, v in found.items()})
            at += count
        return states, metrics

    return run


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_metrics_are_of_count_steps_and_the_state_is_after_them(run):
    one_by_one, singles = run((1,) * STEPS)
    for count in range(STEPS + 1):
        (_, state), (metrics,) = run((count,))
        assert int(state.step) == count
        equal(state, one_by_one[count])
        assert set(metrics) == set(STEP_METRICS)
        for name, values in metrics.items():
            assert values.shape == (STEPS,) and values.dtype == np.float32
            assert np.isfinite(values).all()  # what is not measured is no NaN
            np.testing.assert_array_equal(
                values[:count], [found[name][0] for found in singles[:count]]
            )


def test_states_move(run):
    states, _ = run((1,) * STEPS)
    kernels = [np.asarray(state.params["conv1"]["kernel"]) for state in states]
    for before, after in zip(kernels, kernels[1:], strict=False):
        assert np.all(before != after)


@pytest.mark.parametrize("cuts", CUTS)
def test_cuts_change_no_bit(run, cuts):
    whole, (expected,) = run((STEPS,))
    states, parts = run(cuts)
    equal(states[-1], whole[-1])
    for name in STEP_METRICS:
        joined = [part[name][:n] for part, n in zip(parts, cuts, strict=True)]
        np.testing.assert_array_equal(np.concatenate(joined), expected[name])


def test_room_changes_no_bit(run):
    whole, _ = run((STEPS,))
    roomy, _ = run((4, 3), call_steps=12)
    equal(roomy[-1], whole[-1])
