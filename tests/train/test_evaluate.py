"""Evaluation over every image, whatever the batch size."""

import functools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.norms import make_norm
from normlab.train.evaluate import in_batches, make_evaluate
from normlab.train.program import data_arrays
from tests import tiny

N = 10


def scale(x_NHWC):
    return x_NHWC.astype("float32") / np.float32(100) - np.float32(1)


@pytest.fixture(scope="module")
def trained():
    """A model, parameters, running averages that are no batch's, and images."""
    data = tiny.dataset(test=N)
    model = tiny.TinyNet(make_norm("batch"), tiny.QUICK, 3)
    params = tiny.drawn(model, scale(data.test_x))["params"]
    mean, var = np.array([0.1, -0.2, 0.3, 0.0], "float32"), np.full(4, 1 / 3, "float32")
    stats = {"norm1": {"mean": mean, "var": var}}
    return model, params, stats, data.test_x, data.test_y


def reference(logits, labels):
    """Mean cross-entropy and accuracy, in float64."""
    z = np.asarray(logits, np.float64)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return -log_p[np.arange(len(z)), labels].mean(), np.mean(z.argmax(-1) == labels)


@functools.cache
def compiled(model, batch_size, statistics, standardize):
    """The evaluation."""
    return jax.jit(
        make_evaluate(model, standardize, batch_size=batch_size, statistics=statistics)
    )


def evaluate(trained, batch_size, statistics, standardize=scale):
    model, *given = trained
    found = compiled(model, batch_size, statistics, standardize)(*given)
    return [float(value) for value in found]


def logits_of(trained, rows, statistics):
    model, params, stats, images, _ = trained
    variables = {"params": params, "batch_stats": stats}
    return forward(model, variables, scale(images[rows]), statistics)


@partial(jax.jit, static_argnames=("model", "statistics"))
def forward(model, variables, x, statistics):
    return model.apply(variables, x, statistics=statistics)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_running_statistics_do_not_see_the_batch_size(trained, batch_size):
    expected = reference(logits_of(trained, np.arange(N), "running"), trained[-1])
    assert 0 < expected[1] < 1
    np.testing.assert_allclose(
        evaluate(trained, batch_size, "running"), expected, rtol=1e-5
    )


@pytest.mark.parametrize("batch_size", [4, 7, 64])
def test_batch_statistics_are_of_the_real_images_of_each_batch(trained, batch_size):
    rows = np.split(np.arange(N), range(batch_size, N, batch_size))
    logits = np.concatenate([logits_of(trained, r, "batch") for r in rows])
    expected = reference(logits, trained[-1])
    running = reference(logits_of(trained, np.arange(N), "running"), trained[-1])
    assert abs(expected[0] - running[0]) > 1e-3
    np.testing.assert_allclose(
        evaluate(trained, batch_size, "batch"), expected, rtol=1e-5
    )


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_what_the_padding_holds_does_not_leak(trained, statistics):
    """Padded images are zeros; this standardisation makes infinities of them."""

    def harsh(x_NHWC):
        return jnp.where(x_NHWC == 0, jnp.inf, scale(x_NHWC))

    model, params, stats, images, labels = trained
    images = np.maximum(images, 1)
    assert not np.isfinite(harsh(in_batches(images, 7)[0])).all()
    softened = (model, params, stats, images, labels)
    plain = evaluate(softened, 7, statistics)
    assert np.isfinite(plain).all()
    assert evaluate(softened, 7, statistics, harsh) == plain


@pytest.mark.faults
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_an_image_that_gives_no_numbers_is_not_of_class_0(trained, statistics):
    """The largest of NaNs is the first: one such image, and the accuracy is NaN."""
    model, params, stats, images, labels = trained
    given = (model, params, stats, images.astype("float32"), np.zeros_like(labels))
    assert np.isfinite(evaluate(given, 5, statistics)).all()
    for bad in (np.nan, np.inf):
        spoiled = images.astype("float32")
        spoiled[3] = bad
        found = evaluate((*given[:3], spoiled, given[4]), 5, statistics)
        assert not np.isfinite(found[0]) and np.isnan(found[1])


def test_in_batches_keeps_every_row_once():
    values: Any = np.arange(22).reshape(11, 2)
    batches, mask = map(np.asarray, in_batches(values, 4))
    assert batches.shape == (3, 4, 2) and mask.shape == (3, 4)
    np.testing.assert_array_equal(batches[mask], values)
    np.testing.assert_array_equal(batches[~mask], 0)
    whole, all_real = in_batches(values, 11)
    assert whole.shape == (1, 11, 2) and bool(all_real.all())


def state_of(program):
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    hyper = {k: np.float32(v) for k, v in values.items()}
    return jax.jit(program.init)(jnp.int32(0), hyper)


def test_the_program_evaluates_both_splits_and_every_kind_of_statistics():
    data = tiny.dataset()
    arrays = data_arrays(data)
    several = tiny.cell_config(
        eval_statistics=("precise", "running", "batch"), train_eval_size=9
    )
    program = tiny.program(several, data)
    state = state_of(program)
    evaluated, seen = jax.jit(program.evaluate), np.arange(9)
    found = {k: float(v) for k, v in evaluated(state, seen, arrays).items()}
    statistics = ("precise", "running", "batch")
    for split in ("train", "test"):
        for metric in ("loss", "accuracy"):
            name = f"{split}_{metric}"
            assert found.pop(name) == found[f"{name}_precise"]
        assert len({found[f"{split}_loss_{name}"] for name in statistics}) == 3
    assert len(found) == 12
    # Only the training images that are named count.
    first = np.arange(len(data.train_x)).reshape(-1, 1, 1, 1) < 9
    cut = {**arrays, "train_x": arrays["train_x"] * first}
    again = evaluated(state, seen, cut)
    assert float(again["train_loss_running"]) == found["train_loss_running"]
    assert float(again["train_loss_precise"]) != found["train_loss_precise"]


@pytest.mark.parametrize("norm", ["group", "group_correlated"])
def test_one_kind_of_statistics_has_no_suffix(norm):
    """Nor have norms without running averages anything to be precise about."""
    data = tiny.dataset()
    program = tiny.program(
        tiny.cell_config(norm=norm, eval_statistics=("precise",)), data
    )
    state = jax.eval_shape(lambda: state_of(program))
    found = jax.eval_shape(program.evaluate, state, np.arange(9), data_arrays(data))
    assert set(found) == {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}
    assert all(value.shape == () for value in found.values())
