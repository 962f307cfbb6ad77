"""GroupNorm against flax.linen.GroupNorm; layer and instance norm as its ends."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization

from normlab import norms
from normlab.errors import UserError
from normlab.norms.functional import group_norm
from tests.tiny import quick

# Linen declares return types wider than what an array function takes: Any for both.
BatchNorm: Any = norms.BatchNorm
GroupNorm: Any = norms.GroupNorm
LinenBatchNorm: Any = nn.BatchNorm
LinenGroupNorm: Any = nn.GroupNorm
LinenInstanceNorm: Any = nn.InstanceNorm
LinenLayerNorm: Any = nn.LayerNorm

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


# Rounding is smallest in float64; in float32 one case with a mask, and one without.
CASES = [*((seed, "float64") for seed in range(6)), (2, "float32"), (3, "float32")]


def random_case(seed, dtype):
    """Constructor arguments, params, x, mask and a cotangent, drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    groups, size = (int(n) for n in rng.integers(2, 5, size=2))
    shape = (*rng.integers(2, 6, size=seed % 4), groups * size)  # C alone to N, H, W, C
    inner = range(len(shape) - 1)
    axes = (*(int(a) for a in inner if rng.random() < 0.5), -1)
    settings = {
        "num_groups": groups if seed % 3 else None,
        "group_size": None if seed % 3 else size,
        "reduction_axes": axes if seed > 4 else None,
        "epsilon": 10.0 ** rng.integers(-7, -1),
        "use_scale": bool(seed % 5 != 1),
        "use_bias": bool(seed % 5 != 2),
        "param_dtype": dtype,
        "use_fast_variance": False,  # Linen's other way loses digits in small blocks
    }
    x = rng.normal(rng.normal(0, 3), rng.uniform(0.5, 3), shape).astype(dtype)
    params = {k: rng.normal(size=shape[-1]).astype(dtype) for k in ("scale", "bias")}
    params = {k: v for k, v in params.items() if settings[f"use_{k}"]}
    mask = rng.random(shape) < 0.8 if seed % 2 else None
    return settings, params, x, mask, rng.normal(size=shape).astype(dtype)


def random_x(mean, spread, shape):
    """Normal numbers."""
    return np.random.default_rng(0).normal(mean, spread, shape).astype("float32")


@partial(jax.jit, static_argnums=0)
def run(layers, params, x, mask, cotangent):
    """For each layer its gradients by params and x, and the output."""

    def of(layer):
        def loss(params, x):
            y = layer.apply({"params": params}, x, mask=mask)
            return (cotangent * y).sum(), y

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)

    return [of(layer) for layer in layers]


@pytest.mark.parametrize(("seed", "dtype"), CASES)
def test_equals_linen(seed, dtype):
    settings, *case = random_case(seed, dtype)
    ours, linens = GroupNorm(**settings), LinenGroupNorm(**settings)
    assert not isinstance(ours, LinenGroupNorm)
    with jax.enable_x64(dtype == "float64"):
        a, b = jax.tree.map(np.asarray, run((ours, linens), *case))
    assert np.abs(a[1] - case[1]).max() > 0.1  # x was not normalized already
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for v, w in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert v.dtype == w.dtype
        # A small epsilon and few elements make gradients large.
        tolerance = TOLERANCE[dtype] * max(1.0, np.abs(w).max())
        np.testing.assert_allclose(v, w, rtol=TOLERANCE[dtype], atol=tolerance)


def test_equals_linen_in_bfloat16():
    x = random_x(3, 2, (8, 5, 5, 4)).astype(jnp.bfloat16)
    settings = {"num_groups": 2, "epsilon": 1e-5, "dtype": jnp.bfloat16}
    layers = GroupNorm(**settings), LinenGroupNorm(**settings)

    @jax.jit
    def both(x):
        variables = layers[0].init(jax.random.key(1), x)
        return [layer.apply(variables, x) for layer in layers]

    y, y_linen = both(x)
    assert y.dtype == y_linen.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.float32(y), np.float32(y_linen), rtol=2**-7, atol=2**-7
    )


def test_default_epsilon_is_not_linens():
    assert (
        GroupNorm().epsilon == BatchNorm().epsilon == LinenBatchNorm().epsilon == 1e-5
    )
    assert LinenGroupNorm().epsilon == 1e-6
    # Of a deviation below the epsilons.
    x = np.linspace(-1e-3, 1e-3, 8, dtype="float32").reshape(1, 8)
    params = {"params": {"scale": np.ones(8, "f4"), "bias": np.zeros(8, "f4")}}
    layers = [cls(num_groups=1) for cls in (GroupNorm, LinenGroupNorm)]
    y, y_linen = jax.jit(lambda x: [layer.apply(params, x) for layer in layers])(x)
    np.testing.assert_allclose(y[0, -1], 1e-3 / np.sqrt(x.var() + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(
        y_linen[0, -1], 1e-3 / np.sqrt(x.var() + 1e-6), rtol=1e-5
    )


def test_variables_are_interchangeable_with_linens():
    settings = {"num_groups": 2, "epsilon": 1e-5}
    settings |= {"scale_init": quick, "bias_init": quick}
    layers = GroupNorm(**settings), LinenGroupNorm(**settings)
    x = random_x(2, 1, (6, 3, 3, 4))

    @jax.jit
    def begun(x):
        return [layer.init(jax.random.key(i), x) for i, layer in enumerate(layers)]

    @jax.jit
    def outputs(both, x):
        return [layer.apply(v, x) for layer, v in zip(layers, both, strict=True)]

    params, twin = begun(x)
    assert jax.tree.structure(params) == jax.tree.structure(twin)
    assert (params["params"]["scale"] != twin["params"]["scale"]).all()
    carried = serialization.from_bytes(twin, serialization.to_bytes(params))
    back = serialization.from_bytes(params, serialization.to_bytes(twin))
    for both in ((params, carried), (back, twin)):
        y, y_linen = outputs(both, x)
        np.testing.assert_allclose(y, y_linen, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_groups": 5}, "5 groups do not divide 16 channels"),
        ({"num_groups": 0}, "0 groups do not divide 16 channels"),
        ({"num_groups": -4}, "-4 groups do not divide 16 channels"),
        ({}, "32 groups do not divide 16 channels"),
        (
            {"num_groups": None, "group_size": 3},
            "groups of 3 do not divide 16 channels",
        ),
        ({"num_groups": 4, "group_size": 4}, "either num_groups or group_size"),
        ({"num_groups": None}, "either num_groups or group_size"),
        ({"num_groups": 4, "reduction_axes": (1, 2)}, "leave out the last axis"),
    ],
)
def test_errors_name_what_is_wrong(settings, message):
    x = jnp.ones((2, 4, 4, 16))
    with pytest.raises(ValueError, match=message) as error:
        GroupNorm(**settings).init(jax.random.key(0), x)
    assert isinstance(error.value, UserError) == ("do not divide" in message)
    with pytest.raises(ValueError):
        LinenGroupNorm(**settings).init(jax.random.key(0), x)


def random_input(seed, channels=6):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 3, 4, channels)) * rng.uniform(0.5, 3, channels)
    x += rng.normal(0, 3, (5, 1, 1, channels))
    params = {"scale": rng.normal(size=channels), "bias": rng.normal(size=channels)}
    statistics = {"mean": np.zeros(channels), "var": np.ones(channels)}
    variables = {"params": params, "batch_stats": statistics}
    return jax.tree.map(lambda v: v.astype("float32"), (x, variables))


@partial(jax.jit, static_argnums=0)
def applied(layer, variables, x):
    return layer.apply(variables, x)


@pytest.mark.parametrize("seed", range(5))
def test_one_group_is_layer_norm_and_c_groups_instance_norm(seed):
    x, variables = random_input(seed)
    params, settings = {"params": variables["params"]}, {"epsilon": 1e-5}
    linens = settings | {"use_fast_variance": False}
    layer, instance, one, each = (
        np.asarray(applied(norm, params, x))
        for norm in (
            LinenLayerNorm(reduction_axes=(1, 2, 3), **linens),
            LinenInstanceNorm(**linens),
            GroupNorm(num_groups=1, **settings),
            GroupNorm(num_groups=6, **settings),
        )
    )
    assert np.abs(layer - instance).max() > 0.1
    np.testing.assert_allclose(one, layer, atol=2e-5)
    np.testing.assert_allclose(each, instance, atol=2e-5)


@pytest.mark.parametrize("seed", range(5))
def test_batch_norm_of_one_example_is_instance_norm(seed):
    x, variables = random_input(seed)
    instance = np.asarray(applied(GroupNorm(num_groups=6), variables, x))
    batch = BatchNorm(use_running_average=False)
    for i in range(2):
        y = np.asarray(applied(batch, variables, x[i : i + 1]))
        np.testing.assert_allclose(y[0], instance[i], atol=2e-5)
    y = applied(batch, variables, x)
    assert np.abs(y - instance).max() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_examples_do_not_see_each_other_as_they_do_in_batch_norm(seed):
    x, variables = random_input(seed)
    order = np.random.default_rng(seed).permutation(5)
    changed = x + np.float32(100) * (np.arange(5) == 4).reshape(5, 1, 1, 1)

    def group(x):
        return np.asarray(applied(GroupNorm(num_groups=3), variables, x))

    def batch(x):
        layer = BatchNorm(use_running_average=False)
        return np.asarray(applied(layer, variables, x))

    y = group(x)
    np.testing.assert_allclose(group(x[order]), y[order], atol=1e-5)
    np.testing.assert_allclose(group(x[:2]), y[:2], atol=1e-5)
    assert np.abs(batch(x[:2]) - batch(x)[:2]).max() > 0.1
    np.testing.assert_allclose(group(changed)[:4], y[:4], atol=1e-5)
    assert np.abs(batch(changed)[:4] - batch(x)[:4]).max() > 0.1


def test_statistics_are_those_of_each_group(x64):
    x = np.random.default_rng(0).normal(3, 2, (2, 3, 4, 6))
    y, mean, var = jax.jit(lambda x: group_norm(x, 3, None, None, 0.0))(x)
    blocks = x.reshape(2, 12, 3, 2)
    np.testing.assert_allclose(mean, blocks.mean((1, 3)), rtol=1e-12)
    np.testing.assert_allclose(var, blocks.var((1, 3)), rtol=1e-12)
    out = np.asarray(y).reshape(blocks.shape)
    np.testing.assert_allclose(out.mean((1, 3)), 0.0, atol=1e-12)
    np.testing.assert_allclose(out.var((1, 3)), 1.0, rtol=1e-12)
