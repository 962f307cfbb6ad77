"""NoisyBatchNorm: what the noise is, when there is any, and that training has it."""

import dataclasses
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab import norms
from normlab.errors import UserError
from normlab.norms import make_norm
from normlab.norms.noise import Noise, draw
from normlab.train.program import data_arrays
from normlab.train.state import noise_key
from tests import tiny

# Linen declares return types wider than what an array function takes: Any for both.
BatchNorm: Any = norms.BatchNorm
NoisyBatchNorm: Any = norms.NoisyBatchNorm
KEY = jax.random.key(7)
PAPER = Noise(0.5, 1.25, 0.1, 0.1)
STILL = dataclasses.replace(PAPER, mean_spread=0.0, scale_spread=0.0)
NONE = Noise(0.0, 1.0, 0.0, 0.0)
MANY = 40000


def close_in_the_mean(values, mean: float, var: float, fourth: float):
    """Mean and variance within four standard errors.

    Args:
      fourth: the fourth central moment over the squared variance: 3 for a normal
        distribution, 1.8 for a uniform one.
    """
    n = values.size
    assert abs(values.mean() - mean) < 4 * np.sqrt(var / n)
    assert abs(values.var() - var) < 4 * var * np.sqrt((fourth - 1) / n)
    found = ((values - mean) ** 4).mean() / var**2
    assert abs(found - fourth) < 0.2


@pytest.fixture(scope="module")
def drawn():
    """noise -> (factor, shift) of two elements in each of many channels, float64."""
    shape = (2, MANY)

    @jax.jit  # compiled once: to compile random numbers takes seconds
    def compiled(*sizes):
        return draw(KEY, Noise(*sizes), shape, (1, MANY), jnp.float32)

    def sized(noise):
        arrays = compiled(*dataclasses.astuple(noise))
        return tuple(np.asarray(v, np.float64) for v in arrays)

    return sized


def test_channels_have_uniform_shifts_and_factors(drawn):
    factor, shift = drawn(STILL)
    np.testing.assert_array_equal(factor[0], factor[1])
    np.testing.assert_array_equal(shift[0], shift[1])
    close_in_the_mean(shift[0], 0.0, 0.5**2 / 3, 1.8)
    close_in_the_mean(factor[0], 1.125, 0.25**2 / 12, 1.8)
    assert np.abs(shift).max() <= 0.5 and factor.min() >= 1 and factor.max() <= 1.25
    assert abs(np.corrcoef(factor[0], shift[0])[0, 1]) < 4 / np.sqrt(MANY)


def test_elements_have_uniform_shifts_and_normal_factors_around_their_channels(drawn):
    noise = dataclasses.replace(PAPER, scale_spread=0.2)
    factor, shift = (
        own - channels for own, channels in zip(drawn(noise), drawn(STILL), strict=True)
    )
    for element in range(2):
        close_in_the_mean(shift[element], 0.0, 0.1**2 / 3, 1.8)
        close_in_the_mean(factor[element], 0.0, 0.2**2, 3.0)
    assert np.abs(shift).max() < 0.1 + 1e-6
    correlations = np.corrcoef([*shift, *factor]) - np.eye(4)
    assert np.abs(correlations).max() < 4 / np.sqrt(MANY)


def case(**settings):
    """x, variables with a scale and a bias that are not 1 and 0, and the layer."""
    x = np.random.default_rng(1).normal(3, 2, (6, 3, 3, 4)).astype("float32")
    layer = NoisyBatchNorm(use_running_average=False, momentum=0.9, **settings)
    params = {"scale": [2, -1, 0.5, 3], "bias": [-1, 0, 1, 2]}
    params = {name: np.array(values, "float32") for name, values in params.items()}
    stats = {"mean": np.zeros(4, "float32"), "var": np.ones(4, "float32")}
    return x, {"params": params, "batch_stats": stats}, layer


# Not jitted: the random numbers of a shape are then compiled once for all layers.
def applied(layer, variables, x, key=None, *, running=None, mutable=False):
    """The layer's output; with the new statistics if they are mutable."""
    rngs = {} if key is None else {"noise": key}
    mutable = ["batch_stats"] if mutable else False
    return layer.apply(variables, x, running, mutable=mutable, rngs=rngs)


def test_the_noise_goes_where_it_is_said_to(monkeypatch):
    """After: s (scale xhat + bias) + m. Before: scale (s xhat + m) + bias."""
    x, variables, after = case()
    s, m = np.random.default_rng(0).normal(size=(2, *x.shape))

    def fixed(key, noise, shape, channels, dtype):
        assert shape == x.shape and channels == (1, 1, 1, 4) and noise == PAPER
        return jnp.asarray(s, dtype), jnp.asarray(m, dtype)

    monkeypatch.setattr(sys.modules[NoisyBatchNorm.__module__], "draw", fixed)
    exact = np.asarray(x, np.float64)
    axes = (0, 1, 2)
    hat = (exact - exact.mean(axes)) / np.sqrt(exact.var(axes) + 1e-5)
    scale, bias = (np.asarray(variables["params"][k]) for k in ("scale", "bias"))
    for layer, expected in (
        (after, s * (scale * hat + bias) + m),
        (after.clone(noise_place="before"), scale * (s * hat + m) + bias),
    ):
        bare = layer.clone(use_scale=False, use_bias=False)

        @jax.jit
        def both(variables, x, layer=layer, bare=bare):
            stats = {"batch_stats": variables["batch_stats"]}
            rngs = {"noise": KEY}
            y = layer.apply(variables, x, rngs=rngs)
            return y, bare.apply(stats, x, rngs=rngs)

        y, plain = both(variables, x)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(plain, s * hat + m, rtol=1e-4, atol=1e-5)


def test_a_channel_is_one_of_the_feature_axes():
    x = np.zeros((5, 4, 3, 2), "float32")  # whose y is 0, and 0 times the factor
    layer = NoisyBatchNorm(use_running_average=False, axis=(0, 3), noise=STILL)
    init = jax.jit(lambda x: layer.init(jax.random.key(0), x))
    y = np.asarray(applied(layer, init(x), x, KEY))
    assert np.ptp(y, axis=(1, 2)).max() == 0
    assert len(np.unique(y)) == 5 * 2


@pytest.mark.parametrize("place", ["after", "before"])
def test_no_rng_or_no_size_is_batch_norm_itself(place):
    x, variables, noisy = case(noise_place=place)
    plain = BatchNorm(use_running_average=False, momentum=0.9)
    expected, statistics = applied(plain, variables, x, mutable=True)
    y, new = applied(noisy, variables, x, mutable=True)
    np.testing.assert_array_equal(y, expected)
    # To multiply by 1 and to add 0 changes no bit, unless they are fused with others.
    silent = noisy.clone(noise=NONE).apply(variables, x, rngs={"noise": KEY})
    np.testing.assert_array_equal(silent, plain.apply(variables, x))
    y, loud = applied(noisy, variables, x, KEY, mutable=True)
    assert np.abs(y - expected).max() > 0.1
    for found in (new, loud):  # statistics are of what comes in
        jax.tree.map(np.testing.assert_array_equal, found, statistics)


def test_noise_does_not_ask_which_statistics():
    x, variables, layer = case()
    layer = layer.clone(use_running_average=None)
    for running in (False, True):
        loud = applied(layer, variables, x, KEY, running=running)
        silent = applied(layer, variables, x, running=running)
        assert np.abs(np.asarray(loud) - silent).max() > 0.1


def test_the_spread_is_a_standard_deviation_or_a_variance():
    x = np.tile(np.array([[1], [-1]], "float32"), (MANY // 2, 1))
    found = {}
    for spread in ("std", "variance"):
        model = Pair(
            make_norm(
                "batch_noisy",
                noise_mean=0.0,
                noise_scale=1.0,
                noise_mean_spread=0.0,
                noise_scale_spread=0.04,
                noise_spread=spread,
            )
        )
        factors = np.asarray(outputs_of(model, x, KEY)[0] * x, np.float64)
        close_in_the_mean(factors, 1.0, {"std": 0.0016, "variance": 0.04}[spread], 3.0)
        found[spread] = factors
    np.testing.assert_allclose(
        found["variance"] - 1, 5 * (found["std"] - 1), rtol=1e-3, atol=1e-4
    )


class Pair(nn.Module):
    """Two layers that see the same input."""

    norm: Any

    @nn.compact
    def __call__(self, x, *, statistics):
        return [self.norm(name)(x, statistics=statistics) for name in ("a", "b")]


def outputs_of(pair, x, key) -> Any:
    variables = pair.init(jax.random.key(0), x, statistics="batch")
    return pair.apply(variables, x, statistics="batch", rngs={"noise": key})


def test_the_key_and_the_layer_tell_the_noise():
    x = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")
    model = Pair(make_norm("batch_noisy"))
    keys = [noise_key(jnp.uint32(s), jnp.int32(t)) for s, t in ((0, 3), (0, 4), (1, 3))]
    outputs = [np.asarray(layer) for key in keys for layer in outputs_of(model, x, key)]
    for i, one in enumerate(outputs):
        for other in outputs[:i]:
            assert np.abs(one - other).min() > 0 and np.abs(one - other).max() > 0.1
    again = outputs_of(model, x, noise_key(jnp.uint32(0), jnp.int32(3)))
    np.testing.assert_array_equal(again[0], outputs[0])
    np.testing.assert_array_equal(again[1], outputs[1])


@pytest.mark.parametrize("option", ["noise_place", "noise_spread"])
def test_unknown_choices_are_refused(option):
    with pytest.raises(UserError, match=f"--{option}=xyz: unknown; known: "):
        make_norm("batch_noisy", **{option: "xyz"})


# In training.


HYPER = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def data():
    return tiny.dataset()


@pytest.fixture(scope="module")
def arrays(data):
    return {k: jnp.asarray(v) for k, v in data_arrays(data).items()}


def noisy_program(data, **settings):
    return tiny.program(tiny.cell_config(norm="batch_noisy", **settings), data)


@pytest.fixture(scope="module")
def start(data):
    """The state of seed 0 before the first step."""
    values = {k: jnp.float32(v) for k, v in HYPER.items()}
    return jax.jit(noisy_program(data).init)(jnp.int32(0), values)


@pytest.fixture(scope="module")
def train(data, arrays):
    """(state, number of steps up to 2) -> state; without augmentation."""
    call = jax.jit(noisy_program(data).call)

    def train(state, count):
        picks = (jnp.arange(10).reshape(2, 5) + 5 * state.step) % 24
        return call(state, picks, jnp.int32(count), arrays)[0]

    return train


def differ(a, b) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return not all(np.array_equal(x, y) for x, y in pairs)


def test_training_has_the_noise_of_its_seed_and_step(start, train):
    end = train(start, 1).params
    assert not differ(end, train(start, 1).params)
    other = dataclasses.replace(start, seed=jnp.uint32(5))
    later = dataclasses.replace(start, step=jnp.int32(24))  # whose images are the same
    assert differ(end, train(other, 1).params)
    assert differ(end, train(later, 1).params)
    assert differ(train(other, 1).params, train(later, 1).params)


def test_training_resumed_is_training_never_stopped(start, train):
    whole = train(start, 2)
    halves = train(train(start, 1), 1)
    jax.tree.map(np.testing.assert_array_equal, halves, whole)
    assert differ(whole.params, start.params)


def test_evaluation_is_without_noise_unless_asked(start, data, arrays):
    plain = tiny.program(tiny.cell_config(norm="batch"), data)
    programs = [noisy_program(data, noise_eval=noise) for noise in (False, True)]

    @jax.jit
    def evaluate(*args):
        return [program.evaluate(*args) for program in (*programs, plain)]

    seen = np.arange(10)
    *found, expected = evaluate(start, seen, arrays)
    assert evaluate(start, seen, arrays) == [*found, expected]  # the same noise
    for name in ("train_loss", "test_loss"):
        np.testing.assert_allclose(found[False][name], expected[name], rtol=1e-6)
        assert abs(found[True][name] - expected[name]) > 1e-3
