"""BatchNorm against flax.linen.BatchNorm, and the running averages."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization

from normlab import norms

# Linen declares return types wider than what an array function takes: Any for both.
BatchNorm: Any = norms.BatchNorm
LinenBatchNorm: Any = nn.BatchNorm
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield request.param


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
    as_arrays = jax.tree.map(lambda v: jnp.asarray(v, dtype), variables)
    return settings, as_arrays, jnp.asarray(x), mask, cotangent


def run(layer, variables, x, mask, cotangent):
    """Output, new statistics, and gradients with respect to params and x."""

    def loss(params, x):
        variables_now = {"params": params, "batch_stats": variables["batch_stats"]}
        y, new = layer.apply(variables_now, x, mask=mask, mutable=["batch_stats"])
        return (cotangent * y).sum(), (y, new)

    grad = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    return grad(variables["params"], x)


def assert_close(ours, linens, tolerance):
    assert jax.tree.structure(ours) == jax.tree.structure(linens)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(linens), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_linen(seed, running, dtype):
    settings, variables, x, mask, cotangent = random_case(seed, dtype)
    settings["use_running_average"] = running
    ours, linens = BatchNorm(**settings), LinenBatchNorm(**settings)
    assert not isinstance(ours, LinenBatchNorm)
    case = (variables, x, mask, cotangent)
    result = run(ours, *case)
    assert np.abs(result[1][0] - x).max() > 0.1  # x was not normalized already
    assert_close(result, run(linens, *case), TOLERANCE[dtype])


def test_equals_linen_in_bfloat16():
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (8, 5, 5, 4), jnp.bfloat16)
    settings = {"use_running_average": False, "dtype": jnp.bfloat16}
    ours, linens = BatchNorm(**settings), LinenBatchNorm(**settings)
    variables = ours.init(jax.random.key(1), x)
    y, new = ours.apply(variables, x, mutable=["batch_stats"])
    y_linen, new_linen = linens.apply(variables, x, mutable=["batch_stats"])
    assert y.dtype == y_linen.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        jnp.float32(y), jnp.float32(y_linen), rtol=2**-7, atol=2**-7
    )
    assert_close(new, new_linen, 1e-6)


@pytest.mark.parametrize("dtype_of_x", [jnp.int32, jnp.float16, jnp.float32])
@pytest.mark.parametrize("dtype_of_y", [None, jnp.float16, jnp.float32])
def test_dtypes_are_linens(dtype_of_x, dtype_of_y):
    """A narrow output is rounded once, at the end: statistics see all of x."""
    x = jnp.asarray(np.random.default_rng(0).normal(0, 9, (6, 4)), dtype_of_x)
    settings = {"use_running_average": False, "momentum": 0.0, "dtype": dtype_of_y}
    settings["param_dtype"] = jnp.float16
    results = []
    for cls in (BatchNorm, LinenBatchNorm):
        layer = cls(**settings)
        variables = layer.init(jax.random.key(0), x)
        results.append((variables, layer.apply(variables, x, mutable=["batch_stats"])))
    (ours, (y, new)), (linens, (y_linen, new_linen)) = results
    assert_close((ours, new), (linens, new_linen), 1e-6)
    assert y.dtype == y_linen.dtype
    np.testing.assert_allclose(jnp.float32(y), jnp.float32(y_linen), atol=2e-3)


def test_variables_are_interchangeable_with_linens():
    settings = {
        "momentum": 0.9,
        "scale_init": nn.initializers.normal(1.0),
        "bias_init": nn.initializers.normal(1.0),
    }
    x = 2 + jax.random.normal(jax.random.key(0), (6, 3, 3, 4), jnp.float32)
    layers = BatchNorm(**settings), LinenBatchNorm(**settings)
    for here, there in (layers, layers[::-1]):
        fresh = here.init(jax.random.key(1), x, use_running_average=False)
        twin = there.init(jax.random.key(1), x, use_running_average=False)
        assert_close(fresh, twin, 0.0)
        _, new = here.apply(
            fresh, x, use_running_average=False, mutable=["batch_stats"]
        )
        trained = {**fresh, **new}
        carried = serialization.from_bytes(twin, serialization.to_bytes(trained))
        assert np.abs(carried["batch_stats"]["mean"]).min() > 0.01  # did not stay put
        y = here.apply(trained, x, use_running_average=True)
        y_there = there.apply(carried, x, use_running_average=True)
        np.testing.assert_allclose(y, y_there, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 50])
def test_running_averages_follow_their_closed_form(n):
    """After n equal batches: r_n = momentum^n r_0 + (1 - momentum^n) batch."""
    momentum = 0.9
    x = np.random.default_rng(0).normal(3.0, 2.0, (16, 4, 4, 5)).astype("float32")
    layer = BatchNorm(use_running_average=False, momentum=momentum)
    variables = layer.init(jax.random.key(0), x)
    update = jax.jit(lambda v: {**v, **layer.apply(v, x, mutable=["batch_stats"])[1]})
    for _ in range(n):
        variables = update(variables)
    kept = momentum**n
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    running = variables["batch_stats"]
    np.testing.assert_allclose(running["mean"], (1 - kept) * mean, rtol=1e-5)
    np.testing.assert_allclose(running["var"], kept + (1 - kept) * var, rtol=1e-5)


def test_running_mode_leaves_the_statistics_alone():
    x = 5 + jax.random.normal(jax.random.key(0), (8, 4))
    layer = BatchNorm()
    variables = layer.init(jax.random.key(0), x, use_running_average=False)
    y, new = layer.apply(variables, x, use_running_average=True, mutable=True)
    assert_close(new, variables, 0.0)
    np.testing.assert_allclose(y, x, rtol=1e-5)  # running mean 0 and variance 1
    y, new = layer.apply(variables, x, use_running_average=False, mutable=True)
    assert np.abs(y).max() < 4 and np.abs(new["batch_stats"]["mean"]).min() > 0.01


def test_batch_mode_without_mutable_neither_raises_nor_writes():
    x = 5 + jax.random.normal(jax.random.key(0), (8, 4))
    layer, linens = (
        cls(use_running_average=False) for cls in (BatchNorm, LinenBatchNorm)
    )
    variables = layer.init(jax.random.key(0), x)
    y_mutable, _ = layer.apply(variables, x, mutable=["batch_stats"])
    y, new = layer.apply(variables, x, mutable=["other"])
    np.testing.assert_array_equal(y, y_mutable)
    np.testing.assert_array_equal(y, layer.apply(variables, x))
    assert not new
    with pytest.raises(Exception, match="batch_stats"):
        linens.apply(variables, x)


def test_members_under_vmap_keep_their_own_statistics():
    x = jax.random.normal(jax.random.key(0), (3, 8, 4))
    x = x + jnp.array([-5.0, 0.0, 5.0])[:, None, None]
    layer = BatchNorm(use_running_average=False, momentum=0.0)
    keys = jax.random.split(jax.random.key(1), 3)
    variables = jax.vmap(layer.init)(keys, x)

    def step(variables, x):
        return layer.apply(variables, x, mutable=["batch_stats"])

    y, new = jax.vmap(step)(variables, x)
    np.testing.assert_allclose(new["batch_stats"]["mean"], x.mean(1), rtol=1e-5)
    for i in range(3):
        alone = step(jax.tree.map(lambda v: v[i], variables), x[i])  # noqa: B023
        assert_close((y[i], jax.tree.map(lambda v: v[i], new)), alone, 1e-6)  # noqa: B023


@pytest.mark.parametrize("seed", range(3))
def test_padded_batch_equals_the_unpadded_one(seed):
    """The output on real rows, the statistics and the gradients."""
    settings, variables, _, _, _ = random_case(0, "float32")
    settings.update(axis=-1, use_running_average=False)
    layer = BatchNorm(**settings)
    channels = variables["batch_stats"]["mean"].size
    rng = np.random.default_rng(seed)
    x = rng.normal(20, 1, (7, 3, 3, channels)).astype("float32")
    cotangent = rng.normal(size=x.shape).astype("float32")
    place = np.sort(rng.permutation(10)[:7])  # the padding may stand anywhere
    padded, padded_cotangent = (np.zeros((10, *x.shape[1:]), "float32"),) * 2
    padded, padded_cotangent = padded.copy(), padded_cotangent.copy()
    padded[place], padded_cotangent[place] = x, cotangent
    mask = np.isin(np.arange(10), place).astype("float32").reshape(10, 1, 1, 1)

    (params, grad), (y, new) = run(layer, variables, x, None, cotangent)
    case = (layer, variables, padded)
    (p, g), (z, stats) = run(*case, mask, padded_cotangent)
    real = (p, g[place]), (z[place], stats)
    assert_close(real, ((params, grad), (y, new)), 1e-5)
    (_, _), (_, unmasked) = run(*case, None, padded_cotangent)
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
    x = 2 + jax.random.normal(jax.random.key(0), (3, 8, 4), jnp.float64)
    layer = BatchNorm(use_running_average=False, momentum=0.5)
    variables = layer.init(jax.random.key(0), x[0])

    def step(variables, x):
        _, new = layer.apply(variables, x, mutable=["batch_stats"])
        return {**variables, **new}, None

    last, _ = jax.lax.scan(step, variables, x)
    expected = x.mean(1)[0] / 8 + x.mean(1)[1] / 4 + x.mean(1)[2] / 2
    np.testing.assert_allclose(last["batch_stats"]["mean"], expected, rtol=1e-12)
