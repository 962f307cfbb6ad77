"""BatchNorm against flax.linen.BatchNorm, and the running averages."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization

from normlab import norms
from tests.tiny import quick

# Linen declares return types wider than what an array function takes: Any for both.
BatchNorm: Any = norms.BatchNorm
LinenBatchNorm: Any = nn.BatchNorm
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


# Rounding is smallest in float64; in float32 one case with a mask, and one without.
CASES = [*((seed, "float64") for seed in range(5)), (2, "float32"), (3, "float32")]


def random_case(seed, dtype):
    """Constructor arguments, variables, x and mask, all drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 7, size=rng.integers(2, 5)))
    axis = int(rng.integers(-len(shape), len(shape)))
    features = (shape[axis],)
    x = rng.normal(rng.normal(0, 3), rng.uniform(0.5, 3), shape).astype(dtype)
    settings = {
        "axis": axis,
        "momentum": rng.uniform(0.5, 1.0),
        "epsilon": 10.0 ** rng.integers(-7, -1),
        "use_scale": bool(seed % 4 != 1),
        "use_bias": bool(seed % 4 != 2),
        "param_dtype": dtype,
        "use_fast_variance": False,  # Linen's other way loses digits in small blocks
    }
    params = {"scale": rng.normal(size=features), "bias": rng.normal(size=features)}
    params = {k: v for k, v in params.items() if settings[f"use_{k}"]}
    statistics = {"mean": rng.normal(size=features), "var": rng.uniform(1, 2, features)}
    variables = {"params": params, "batch_stats": statistics}
    mask = rng.random(shape) < 0.7 if seed % 2 else None
    cotangent = rng.normal(size=shape).astype(dtype)
    as_arrays = jax.tree.map(lambda v: np.asarray(v, dtype), variables)
    return settings, as_arrays, x, mask, cotangent


def random_x(mean, spread, shape):
    """Normal numbers."""
    return np.random.default_rng(0).normal(mean, spread, shape).astype("float32")


@partial(jax.jit, static_argnums=0)
def run(layers, variables, x, mask, cotangent):
    """For each layer the gradients by params and x, the output and new statistics."""

    def of(layer):
        def loss(params, x):
            variables_now = {"params": params, "batch_stats": variables["batch_stats"]}
            y, new = layer.apply(variables_now, x, mask=mask, mutable=["batch_stats"])
            return (cotangent * y).sum(), (y, new)

        grad = jax.grad(loss, argnums=(0, 1), has_aux=True)
        return grad(variables["params"], x)

    return [of(layer) for layer in layers]


def assert_close(ours, linens, tolerance):
    assert jax.tree.structure(ours) == jax.tree.structure(linens)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(linens), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize(("seed", "dtype"), CASES)
def test_equals_linen(seed, dtype):
    """Under the batch's statistics, and under running ones."""
    settings, variables, x, mask, cotangent = random_case(seed, dtype)
    assert not issubclass(BatchNorm, LinenBatchNorm)
    layers = tuple(
        cls(**settings, use_running_average=running)
        for running in (False, True)
        for cls in (BatchNorm, LinenBatchNorm)
    )
    with jax.enable_x64(dtype == "float64"):
        results = jax.tree.map(np.asarray, run(layers, variables, x, mask, cotangent))
    for ours, linens in (results[:2], results[2:]):
        assert np.abs(ours[1][0] - x).max() > 0.1  # x was not normalized already
        assert_close(ours, linens, TOLERANCE[dtype])


def test_equals_linen_in_bfloat16():
    x = random_x(3, 2, (8, 5, 5, 4)).astype(jnp.bfloat16)
    settings = {"use_running_average": False, "dtype": jnp.bfloat16}
    layers = BatchNorm(**settings), LinenBatchNorm(**settings)

    @jax.jit
    def both(x):
        variables = layers[0].init(jax.random.key(1), x)
        return [layer.apply(variables, x, mutable=["batch_stats"]) for layer in layers]

    (y, new), (y_linen, new_linen) = both(x)
    assert y.dtype == y_linen.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.float32(y), np.float32(y_linen), rtol=2**-7, atol=2**-7
    )
    assert_close(new, new_linen, 1e-6)


@pytest.mark.parametrize("dtype_of_x", [jnp.int32, jnp.float16, jnp.float32])
@pytest.mark.parametrize("dtype_of_y", [None, jnp.float16, jnp.float32])
def test_dtypes_are_linens(dtype_of_x, dtype_of_y):
    """A narrow output is rounded once, at the end: statistics see all of x."""
    x = random_x(0, 9, (6, 4)).astype(dtype_of_x)
    settings = {"use_running_average": False, "momentum": 0.0, "dtype": dtype_of_y}
    settings["param_dtype"] = jnp.float16

    @jax.jit
    def both(x):
        results = []
        for cls in (BatchNorm, LinenBatchNorm):
            layer = cls(**settings)
            variables = layer.init(jax.random.key(0), x)
            applied = layer.apply(variables, x, mutable=["batch_stats"])
            results.append((variables, applied))
        return results

    (ours, (y, new)), (linens, (y_linen, new_linen)) = both(x)
    assert_close((ours, new), (linens, new_linen), 1e-6)
    assert y.dtype == y_linen.dtype
    np.testing.assert_allclose(np.float32(y), np.float32(y_linen), atol=2e-3)


def test_variables_are_interchangeable_with_linens():
    settings = {"momentum": 0.9, "scale_init": quick, "bias_init": quick}
    x = random_x(2, 1, (6, 3, 3, 4))
    layers = BatchNorm(**settings), LinenBatchNorm(**settings)

    @jax.jit
    def trained_by_each(x):
        """Variables at the start, and those after a step."""
        found = []
        for layer in layers:
            fresh = layer.init(jax.random.key(1), x, use_running_average=False)
            _, new = layer.apply(
                fresh, x, use_running_average=False, mutable=["batch_stats"]
            )
            found.append((fresh, {**fresh, **new}))
        return found

    @jax.jit
    def outputs(both, x):
        pairs = zip(layers, both, strict=True)
        return [layer.apply(v, x, use_running_average=True) for layer, v in pairs]

    (fresh, trained), (twin, trained_twin) = trained_by_each(x)
    assert_close(fresh, twin, 0.0)
    carried = serialization.from_bytes(twin, serialization.to_bytes(trained))
    back = serialization.from_bytes(fresh, serialization.to_bytes(trained_twin))
    for both in ((trained, carried), (back, trained_twin)):
        for variables in both:  # they did not stay put
            assert np.abs(variables["batch_stats"]["mean"]).min() > 0.01
        y, y_linen = outputs(both, x)
        np.testing.assert_allclose(y, y_linen, atol=1e-6)


def test_running_averages_follow_their_closed_form():
    """After n equal batches: r_n = momentum^n r_0 + (1 - momentum^n) batch."""
    momentum = 0.9
    x = random_x(3, 2, (16, 4, 4, 5))
    layer = BatchNorm(use_running_average=False, momentum=momentum)

    @jax.jit
    def update(v, x):
        return {**v, **layer.apply(v, x, mutable=["batch_stats"])[1]}

    variables = jax.jit(layer.init)(jax.random.key(0), x)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    for n in range(51):
        kept, running = momentum**n, variables["batch_stats"]
        np.testing.assert_allclose(running["mean"], (1 - kept) * mean, rtol=1e-5)
        np.testing.assert_allclose(running["var"], kept + (1 - kept) * var, rtol=1e-5)
        variables = update(variables, x)


def test_running_mode_leaves_the_statistics_alone():
    x = random_x(5, 1, (8, 4))
    layer = BatchNorm()
    fresh = jax.jit(partial(layer.init, use_running_average=False))
    apply = jax.jit(
        partial(layer.apply, mutable=True), static_argnames="use_running_average"
    )
    variables = fresh(jax.random.key(0), x)
    y, new = apply(variables, x, use_running_average=True)
    assert_close(new, variables, 0.0)
    np.testing.assert_allclose(y, x, rtol=1e-5)  # running mean 0 and variance 1
    y, new = apply(variables, x, use_running_average=False)
    assert np.abs(y).max() < 4 and np.abs(new["batch_stats"]["mean"]).min() > 0.01


def test_batch_mode_without_mutable_neither_raises_nor_writes():
    x = random_x(5, 1, (8, 4))
    layer, linens = (
        cls(use_running_average=False) for cls in (BatchNorm, LinenBatchNorm)
    )
    variables = {
        "params": {"scale": np.ones(4, "f4"), "bias": np.zeros(4, "f4")},
        "batch_stats": {"mean": np.zeros(4, "f4"), "var": np.ones(4, "f4")},
    }

    @jax.jit
    def outputs(variables, x):
        y_mutable, _ = layer.apply(variables, x, mutable=["batch_stats"])
        y, new = layer.apply(variables, x, mutable=["other"])
        assert not new
        return y_mutable, y, layer.apply(variables, x)

    y_mutable, y, without = outputs(variables, x)
    np.testing.assert_array_equal(y, y_mutable)
    np.testing.assert_array_equal(y, without)
    with pytest.raises(Exception, match="batch_stats"):
        linens.apply(variables, x)


def test_members_under_vmap_keep_their_own_statistics():
    x = random_x(0, 1, (3, 8, 4)) + np.array([[[-5]], [[2]], [[5]]], "float32")
    layer = BatchNorm(use_running_average=False, momentum=0.0)

    @jax.jit
    def init(x):
        keys = jax.random.split(jax.random.key(1), 3)
        return jax.vmap(layer.init)(keys, x)

    @jax.jit
    def step(variables, x):
        return layer.apply(variables, x, mutable=["batch_stats"])

    variables = jax.tree.map(np.asarray, init(x))
    y, new = jax.tree.map(np.asarray, jax.vmap(step)(variables, x))
    np.testing.assert_allclose(new["batch_stats"]["mean"], x.mean(1), rtol=1e-5)
    for i in range(3):
        alone = step(jax.tree.map(lambda v: v[i], variables), x[i])  # noqa: B023
        assert_close((y[i], jax.tree.map(lambda v: v[i], new)), alone, 1e-6)  # noqa: B023


@pytest.mark.parametrize("seed", range(3))
def test_padded_batch_equals_the_unpadded_one(seed):
    """The output on real rows, the statistics and the gradients."""
    settings, variables, _, _, _ = random_case(0, "float32")
    settings.update(axis=-1, use_running_average=False)
    case = (BatchNorm(**settings),), variables
    channels = variables["batch_stats"]["mean"].size
    rng = np.random.default_rng(seed)
    x = rng.normal(20, 1, (7, 3, 3, channels)).astype("float32")
    cotangent = rng.normal(size=x.shape).astype("float32")
    place = np.sort(rng.permutation(10)[:7])  # the padding may stand anywhere
    padded, padded_cotangent = (np.zeros((10, *x.shape[1:]), "float32"),) * 2
    padded, padded_cotangent = padded.copy(), padded_cotangent.copy()
    padded[place], padded_cotangent[place] = x, cotangent
    mask = np.isin(np.arange(10), place).astype("float32").reshape(10, 1, 1, 1)

    (params, grad), (y, new) = run(*case, x, None, cotangent)[0]
    (p, g), (z, stats) = run(*case, padded, mask, padded_cotangent)[0]
    real = (p, g[place]), (z[place], stats)
    assert_close(real, ((params, grad), (y, new)), 1e-5)
    everything = np.ones_like(mask)
    (_, _), (_, unmasked) = run(*case, padded, everything, padded_cotangent)[0]
    moved = unmasked["batch_stats"]["mean"] - new["batch_stats"]["mean"]
    assert np.abs(moved).max() > 0.1  # without the mask the padding does count


def test_running_average_must_be_chosen_once():
    x = jnp.ones((2, 3))
    with pytest.raises(ValueError, match="use_running_average"):
        BatchNorm().init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="use_running_average"):
        layer = BatchNorm(use_running_average=True)
        layer.init(jax.random.key(0), x, use_running_average=True)


def test_statistics_keep_their_dtype_in_a_scan(x64):
    x = np.random.default_rng(0).normal(2, 1, (3, 8, 4))
    layer = BatchNorm(use_running_average=False, momentum=0.5)
    variables = jax.jit(layer.init)(jax.random.key(0), x[0])

    def step(variables, x):
        _, new = layer.apply(variables, x, mutable=["batch_stats"])
        return {**variables, **new}, None

    last, _ = jax.lax.scan(step, variables, x)
    expected = x.mean(1)[0] / 8 + x.mean(1)[1] / 4 + x.mean(1)[2] / 2
    np.testing.assert_allclose(last["batch_stats"]["mean"], expected, rtol=1e-12)
