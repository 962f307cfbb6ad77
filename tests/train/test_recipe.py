"""Smoothed labels and batches in parts, against what a user would write himself."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab.norms import make_norm
from normlab.train.losses import LOSSES, training_loss
from normlab.train.optimizers import make_optimizer, with_hyperparameters
from normlab.train.program import data_arrays
from normlab.train.state import TrainState, noise_key
from normlab.train.step import make_loss, make_step
from tests import tiny
from tests.quick import quick

LR = 0.5


def network(norm: str) -> Any:
    made = make_norm(norm, groups=2 if norm == "group" else None, norm_momentum=0.9)
    return tiny.TinyNet(made, tiny.QUICK, 3)


def images() -> Any:
    x = np.random.default_rng(0).normal(size=(6, 6, 6, 1)).astype("float32")
    return x, np.arange(6, dtype="int32") % 3


def stepped(model, loss=LOSSES["classification"], accumulate=1) -> Any:
    """(The state before, the state after one step of SGD, the metrics.)"""
    x, y = images()
    tx, variables = make_optimizer("sgd"), tiny.drawn(model, x[:1])
    values = {"lr": LR, "momentum": 0.0, "weight_decay": 0.0}
    state = TrainState(
        step=jnp.int32(2),
        seed=jnp.uint32(1),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=with_hyperparameters(tx.init(variables["params"]), values),
    )
    step = make_step(model, tx, lambda key, x: x, loss, accumulate=accumulate)
    return state, *quick(step)(state, (x, y))


def in_parts_by_hand(model, state, parts, loss=LOSSES["classification"]):
    """One step of SGD on the mean over parts, each with statistics of its own."""
    x, y = images()
    of_part = quick(jax.value_and_grad(make_loss(model, loss), has_aux=True))
    stats, values, gradients = state.batch_stats, [], []
    for i, rows in enumerate(np.split(np.arange(6), parts)):
        key = jax.random.fold_in(noise_key(state.seed, state.step), i)
        (value, (_, stats)), gradient = of_part(
            state.params, stats, x[rows], y[rows], key
        )
        values.append(value)
        gradients.append(gradient)
    mean = jax.tree.map(lambda *g: sum(g) / parts, *gradients)
    params = jax.tree.map(lambda p, g: p - LR * g, state.params, mean)
    return params, stats, np.mean(values), mean


def close(one, other, rtol=1e-4, atol=1e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), one, other
    )


def apart(one, other):
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), one, other)
    return max(jax.tree.leaves(moved))


@pytest.mark.parametrize(
    "norm", ["batch", pytest.param("batch_noisy", marks=pytest.mark.slow)]
)
def test_parts_are_batches_of_their_own_to_the_network(norm):
    model = network(norm)
    state, after, metrics = stepped(model, accumulate=3)
    params, stats, loss, gradient = in_parts_by_hand(model, state, 3)
    close(after.params, params)
    close(after.batch_stats, stats)
    np.testing.assert_allclose(metrics["batch_loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["gradient_norm"], optax.tree.norm(gradient), rtol=1e-5
    )
    assert int(after.step) == 3
    # As one batch it is another step: other statistics, and one update of the averages.
    _, whole, _ = stepped(model)
    assert apart(after.params, whole.params) > 1e-3
    assert apart(after.batch_stats, whole.batch_stats) > 1e-3


def test_without_statistics_of_the_batch_parts_change_nothing():
    model = network("group")
    _, whole, one = stepped(model)
    _, after, several = stepped(model, accumulate=2)
    close(after.params, whole.params)
    close(several, one, rtol=1e-5)


def test_a_loss_that_is_a_sum_is_summed_over_parts():
    loss = LOSSES["classification"]._replace(reduction="sum")
    model = network("none")
    _, whole, one = stepped(model, loss)
    _, after, several = stepped(model, loss, accumulate=3)
    close(after.params, whole.params, rtol=1e-3, atol=1e-5)
    close(several, one, rtol=1e-5)
    mean = stepped(model)[2]
    np.testing.assert_allclose(one["batch_loss"], 6 * mean["batch_loss"], rtol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_smoothed_cross_entropy_in_numpy(share):
    logits, labels = np.random.default_rng(0).normal(size=(5, 4)), [0, 3, 1, 1, 2]
    target = np.full((5, 4), share / 4)
    target[np.arange(5), labels] += 1 - share
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    of_each: Any = training_loss("classification", share).of_each
    found = quick(of_each)(logits.astype("float32"), np.array(labels, np.uint8))
    np.testing.assert_allclose(found, -(target * log_p).sum(-1), rtol=1e-5)
    plain = LOSSES["classification"].of_each(jnp.asarray(logits), jnp.array(labels))
    assert np.abs(found - plain).min() > 1e-3
    assert training_loss("classification") is LOSSES["classification"]


def test_training_minimises_the_smoothed_loss_and_evaluation_has_the_plain_one():
    data = tiny.dataset()
    arrays = data_arrays(data)
    smooth, plain = (
        tiny.program(
            tiny.cell_config(batch_size=24, norm="none", label_smoothing=share), data
        )
        for share in (0.3, 0.0)
    )
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    state = quick(smooth.init)(jnp.int32(0), values)
    everything = np.arange(24, dtype=np.int32)
    found = [
        (
            quick(program.call)(state, everything[None], jnp.int32(1), arrays),
            quick(program.evaluate)(state, everything, arrays),
        )
        for program in (smooth, plain)
    ]
    ((smooth_state, metrics), evaluated), ((_, others), same) = found
    np.testing.assert_allclose(evaluated["train_loss"], same["train_loss"], rtol=1e-6)
    np.testing.assert_allclose(evaluated["test_loss"], same["test_loss"], rtol=1e-6)
    np.testing.assert_allclose(others["batch_loss"][0], same["train_loss"], rtol=1e-5)
    assert abs(metrics["batch_loss"][0] - evaluated["train_loss"]) > 1e-2
    np.testing.assert_array_equal(metrics["batch_accuracy"], others["batch_accuracy"])
    # The update goes down the smoothed loss.
    loss = training_loss("classification", 0.3)
    network_loss = make_loss(tiny.network(tiny.cell_config(norm="none")).model, loss)
    x = tiny.network(tiny.cell_config(norm="none")).scale(jnp.asarray(data.train_x))
    gradient = quick(jax.grad(network_loss, has_aux=True))(
        state.params, {}, x, data.train_y
    )[0]
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, gradient)
    close(smooth_state.params, wanted)
