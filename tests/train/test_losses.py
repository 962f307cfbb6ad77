"""Losses by task, and a regression from its batches to its evaluations."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab import data
from normlab.data.spec import SPECS
from normlab.train.losses import LOSSES, accuracy
from normlab.train.program import data_arrays
from tests import tiny

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.normal(size=(5, 3)).astype("float32")


def test_cross_entropy_in_nats():
    loss, labels = LOSSES["classification"], np.array([0, 2, 1, 1, 0], np.uint8)
    z = OUTPUTS.astype(np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    expected = -log_p[np.arange(5), labels]
    found: Any = np.asarray(jax.jit(loss.of_each)(OUTPUTS, labels))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(loss.over(found), expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        loss.of_total(found.sum(), 5), expected.mean(), rtol=1e-5
    )
    assert loss.right is not None
    right = jax.jit(loss.right)(OUTPUTS, labels)
    np.testing.assert_array_equal(right, OUTPUTS.argmax(-1) == labels)
    assert 0 < np.sum(right) < 5


def test_the_gradient_of_cross_entropy_is_no_scatter():
    labels = np.array([0, 2, 1, 1, 0])

    def text(of_each):
        return str(
            jax.make_jaxpr(jax.grad(lambda z: of_each(z, labels).sum()))(OUTPUTS)
        )

    assert "scatter" in text(optax.softmax_cross_entropy_with_integer_labels)
    assert "scatter" not in text(LOSSES["classification"].of_each)


def test_a_label_of_no_class_has_no_loss():
    found = LOSSES["classification"].of_each(
        jnp.asarray(OUTPUTS), jnp.array([0, 3, -1, 2, 1])
    )
    np.testing.assert_array_equal(np.isnan(found), [False, True, True, False, False])


def test_squared_error_is_summed_over_outputs_and_examples():
    loss, targets = LOSSES["regression"], RANDOM.normal(size=(5, 3))
    squares = (OUTPUTS - targets) ** 2
    found: Any = np.asarray(jax.jit(loss.of_each)(OUTPUTS, targets.astype("float32")))
    np.testing.assert_allclose(found, squares.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(loss.over(found), squares.sum(), rtol=1e-5)
    np.testing.assert_allclose(loss.of_total(found.sum(), 5), squares.sum(), rtol=1e-5)
    assert loss.right is None


@pytest.mark.faults
def test_an_accuracy_is_nan_where_its_loss_is_not_finite():
    losses = jnp.array([0.0, 2.0, 3e38, jnp.nan, jnp.inf, -jnp.inf])
    found = accuracy(jnp.full(6, 0.1), losses)
    np.testing.assert_array_equal(found, np.array([0.1] * 3 + [np.nan] * 3, np.float32))
    np.testing.assert_array_equal(jax.jit(accuracy)(jnp.full(6, 0.1), losses), found)


@pytest.mark.parametrize("name", sorted(data.DATASETS.keys() - SPECS.keys()))
def test_every_dataset_has_a_loss(name):
    assert data.load(name).task in LOSSES


def regression(**changes):
    """A linear map of 40 vectors, learned in full batches by a tiny network."""
    inputs = RANDOM.normal(size=(52, 1, 1, 4)).astype("float32")
    targets = inputs.reshape(52, 4) @ RANDOM.normal(size=(4, 3)).astype("float32")
    dataset = data.Dataset(
        "map", inputs[:40], targets[:40], inputs[40:], targets[40:], ("a", "b", "c"),
        task="regression",
    )  # fmt: skip
    config = tiny.cell_config(
        train_size=40, batch_size=40, train_eval_size=40, standardize="none", **changes
    )
    return dataset, tiny.program(config, dataset)


def test_a_regression_trains_and_is_evaluated_by_the_same_loss():
    dataset, program = regression(norm="none", eval_batch_size=17)
    values = {"lr": 1e-3, "momentum": 0.0, "weight_decay": 0.0}
    hyper = {name: jnp.float32(value) for name, value in values.items()}
    state = jax.jit(program.init)(jnp.int32(0), hyper)
    arrays = data_arrays(dataset)
    assert arrays["train_x"].dtype == arrays["train_y"].dtype == np.float32
    evaluate, everything = jax.jit(program.evaluate), np.arange(40)
    before = evaluate(state, everything, arrays)
    order = np.random.default_rng(1).permutation(40).astype(np.int32)
    batches = np.stack([order] * 30)
    state, metrics = jax.jit(program.call)(state, batches, jnp.int32(30), arrays)
    # The whole training set is one batch, so its loss is the training loss.
    losses = np.asarray(metrics["batch_loss"])
    np.testing.assert_allclose(losses[0], before["train_loss"], rtol=1e-5)
    after = evaluate(state, everything, arrays)
    assert after["train_loss"] < losses[-1] < 0.5 * losses[0]
    assert after["test_loss"] < 0.6 * before["test_loss"]
    assert set(after) == {"train_loss", "test_loss"}
    assert set(metrics) == {"batch_loss", "gradient_norm", "lr_step"}
