"""Precise statistics against the population's, in float64."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.models import make_model
from normlab.norms import make_norm
from normlab.train.precise import make_precise_statistics
from tests import tiny

N = 24


class NormAlone(nn.Module):
    """A network whose first norm sees the images themselves."""

    norm: Any

    @nn.compact
    def __call__(self, x, *, statistics, mask=None):
        return self.norm("norm1")(x, statistics=statistics, mask=mask)


def scale(x):
    return x.astype("float32") / np.float32(64)


def precise(model: Any, standardize, batch_size, params, stats, images):
    function = make_precise_statistics(model, standardize, batch_size=batch_size)
    return jax.jit(function)(params, stats, images)


# Single images, a last batch that is smaller, and one batch larger than all.
@pytest.mark.parametrize(
    "batch_size",
    [1, 5, 8, 100, pytest.param(24, marks=pytest.mark.slow)],
)
def test_first_norm_gets_the_populations_statistics(batch_size):
    images = tiny.dataset(train=N).train_x
    model: Any = tiny.TinyNet(make_norm("batch", norm_momentum=0.0), tiny.QUICK, 3)
    params = tiny.drawn(model, scale(images[:1]))["params"]
    conv, padded = (
        params["conv1"],
        np.pad(scale(images), ((0, 0), (1, 1), (1, 1), (0, 0))),
    )
    inputs = sum(
        padded[:, i : i + 6, j : j + 6] @ conv["kernel"][i, j].astype(np.float64)
        for i in range(3)
        for j in range(3)
    )
    inputs = inputs + conv["bias"]
    nine = np.full(4, 9, "float32")
    stats = {"norm1": {"mean": nine, "var": nine}}  # forgotten
    found = precise(model, scale, batch_size, params, stats, images)
    assert jax.tree.structure(found) == jax.tree.structure(stats)
    axes = (0, 1, 2)
    np.testing.assert_allclose(
        found["norm1"]["mean"], inputs.mean(axes), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(found["norm1"]["var"], inputs.var(axes), rtol=1e-5)


def test_a_single_batch_gives_its_own_statistics_at_every_norm():
    images = tiny.dataset(train=N).train_x
    norm = make_norm("batch", norm_momentum=0.0)
    model: Any = make_model("small_cnn", norm=norm, init="standard", classes=3)
    start = tiny.drawn(model, scale(images[:1]))
    params, stats = start["params"], start["batch_stats"]
    forward = partial(model.apply, statistics="batch", mutable=["batch_stats"])
    _, expected = jax.jit(forward)(start, scale(images))
    whole = precise(model, scale, N, params, stats, images)

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    jax.tree.map(close, whole, expected["batch_stats"])
    # In smaller batches the second norm sees other inputs, the first the same ones.
    parts = precise(model, scale, 5, params, stats, images)
    jax.tree.map(close, parts["norm1"], whole["norm1"])
    parts, whole = (np.asarray(found["norm2"]["mean"]) for found in (parts, whole))
    assert np.abs(parts - whole).max() > 1e-4


@pytest.mark.parametrize("batch_size", [7, 40])
def test_a_mean_far_from_zero_costs_no_precision(batch_size):
    random = np.random.default_rng(0)
    images = (1e4 + random.normal(size=(N, 6, 6, 2))).astype("float32")
    model: Any = NormAlone(
        make_norm("batch", norm_momentum=0.0, norm_scale=False, norm_bias=False)
    )
    stats = {"norm1": {"mean": np.zeros(2, "f4"), "var": np.ones(2, "f4")}}
    found = precise(model, jnp.asarray, batch_size, {}, stats, images)["norm1"]
    exact = images.astype(np.float64)
    naive = (images**2).mean((0, 1, 2)) - images.mean((0, 1, 2)) ** 2
    assert np.abs(naive - exact.var((0, 1, 2))).max() > 0.1  # what would go wrong
    np.testing.assert_allclose(found["mean"], exact.mean((0, 1, 2)), atol=5e-3)
    np.testing.assert_allclose(found["var"], exact.var((0, 1, 2)), rtol=1e-3)


@pytest.mark.parametrize("batch_size", [5, pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_moments_of_an_lp_norm_are_the_populations_and_maxima_the_batches(
    p, batch_size
):
    random = np.random.default_rng(0)
    images = random.normal(2.0, 3.0, (N, 4, 4, 2)).astype("float32")
    model: Any = NormAlone(make_norm("batch_lp", norm_p=p, norm_momentum=0.0))
    start = tiny.drawn(model, images)
    params, stats = start["params"], start["batch_stats"]
    found = precise(model, jnp.asarray, batch_size, params, stats, images)["norm1"]
    size = np.abs(images.astype(np.float64))
    parts = np.split(size, range(batch_size, N, batch_size))
    weights = [len(part) for part in parts]
    largest = np.average([part.max((0, 1, 2)) for part in parts], 0, weights)
    expected = {"1": size.mean((0, 1, 2)), "2": (size**2).mean((0, 1, 2))}
    np.testing.assert_allclose(found["mean"], images.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found["moment"], expected.get(p, largest), rtol=1e-5)


class Norms(nn.Module):
    """A norm behind a norm."""

    norm: Any

    @nn.compact
    def __call__(self, x, *, statistics, mask=None):
        for name in ("norm1", "norm2"):
            x = self.norm(name)(x, statistics=statistics, mask=mask)
        return x


def test_noise_reaches_the_second_norm_where_evaluation_has_it():
    images = np.random.default_rng(0).normal(2.0, 3.0, (N, 4)).astype("float32")
    images = images.reshape(N, 1, 1, 4)
    model: Any = Norms(make_norm("batch_noisy", norm_momentum=0.0))
    init = jax.jit(partial(model.init, statistics="batch"))
    start = init(jax.random.key(0), images)

    @jax.jit
    def both(params, stats, images):
        """Without noise, and with."""
        functions = [
            make_precise_statistics(model, jnp.asarray, batch_size=7, noise=noise)
            for noise in (False, True)
        ]
        return [function(params, stats, images) for function in functions]

    silent, loud = both(start["params"], start["batch_stats"], images)
    jax.tree.map(np.testing.assert_array_equal, silent["norm1"], loud["norm1"])
    np.testing.assert_allclose(silent["norm2"]["mean"], 0.0, atol=1e-5)
    assert np.abs(loud["norm2"]["mean"]).max() > 0.05
