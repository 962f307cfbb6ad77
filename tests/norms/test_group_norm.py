"""GroupNorm against flax.linen.GroupNorm; layer and instance norm as its ends."""

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

# Linen declares return types wider than what an array function takes: Any for both.
BatchNorm: Any = norms.BatchNorm
GroupNorm: Any = norms.GroupNorm
LinenBatchNorm: Any = nn.BatchNorm
LinenGroupNorm: Any = nn.GroupNorm
LinenInstanceNorm: Any = nn.InstanceNorm
LinenLayerNorm: Any = nn.LayerNorm

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield request.param


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
    params = {k: jnp.asarray(v) for k, v in params.items() if settings[f"use_{k}"]}
    mask = rng.random(shape) < 0.8 if seed % 2 else None
    return settings, params, jnp.asarray(x), mask, rng.normal(size=shape).astype(dtype)


def run(layer, params, x, mask, cotangent):
    """Output, and gradients with respect to params and x."""

    def loss(params, x):
        y = layer.apply({"params": params}, x, mask=mask)
        return (cotangent * y).sum(), y

    return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, x)


@pytest.mark.parametrize("seed", range(6))
def test_equals_linen(seed, dtype):
    settings, *case = random_case(seed, dtype)
    ours, linens = GroupNorm(**settings), LinenGroupNorm(**settings)
    assert not isinstance(ours, LinenGroupNorm)
    a, b = run(ours, *case), run(linens, *case)
    assert np.abs(a[1] - case[1]).max() > 0.1  # x was not normalized already
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for v, w in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert v.dtype == w.dtype
        # A small epsilon and few elements make gradients large.
        tolerance = TOLERANCE[dtype] * max(1.0, np.abs(w).max())
        np.testing.assert_allclose(v, w, rtol=TOLERANCE[dtype], atol=tolerance)


def test_equals_linen_in_bfloat16():
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (8, 5, 5, 4), jnp.bfloat16)
    settings = {"num_groups": 2, "epsilon": 1e-5, "dtype": jnp.bfloat16}
    ours, linens = GroupNorm(**settings), LinenGroupNorm(**settings)
    variables = ours.init(jax.random.key(1), x)
    y, y_linen = ours.apply(variables, x), linens.apply(variables, x)
    assert isinstance(y, jax.Array) and isinstance(y_linen, jax.Array)
    assert y.dtype == y_linen.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        jnp.float32(y), jnp.float32(y_linen), rtol=2**-7, atol=2**-7
    )


def test_default_epsilon_is_not_linens():
    assert (
        GroupNorm().epsilon == BatchNorm().epsilon == LinenBatchNorm().epsilon == 1e-5
    )
    assert LinenGroupNorm().epsilon == 1e-6
    x = jnp.linspace(-1e-3, 1e-3, 8).reshape(1, 8)  # deviation below the epsilons
    params = {"params": {"scale": jnp.ones(8), "bias": jnp.zeros(8)}}
    y, y_linen = (
        cls(num_groups=1).apply(params, x) for cls in (GroupNorm, LinenGroupNorm)
    )
    np.testing.assert_allclose(y[0, -1], 1e-3 / np.sqrt(x.var() + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(
        y_linen[0, -1], 1e-3 / np.sqrt(x.var() + 1e-6), rtol=1e-5
    )


def test_variables_are_interchangeable_with_linens():
    init = nn.initializers.normal(1.0)
    settings = {"num_groups": 2, "epsilon": 1e-5, "scale_init": init, "bias_init": init}
    layers = GroupNorm(**settings), LinenGroupNorm(**settings)
    x = 2 + jax.random.normal(jax.random.key(0), (6, 3, 3, 4))
    for here, there in (layers, layers[::-1]):
        params = here.init(jax.random.key(1), x)
        twin = there.init(jax.random.key(2), x)
        carried = serialization.from_bytes(twin, serialization.to_bytes(params))
        assert jax.tree.structure(params) == jax.tree.structure(twin)
        assert (params["params"]["scale"] != twin["params"]["scale"]).all()
        y, y_there = here.apply(params, x), there.apply(carried, x)
        np.testing.assert_allclose(y, y_there, atol=1e-5)


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
    return jax.tree.map(lambda v: jnp.asarray(v, "float32"), (x, {"params": params}))


@pytest.mark.parametrize("seed", range(5))
def test_one_group_is_layer_norm_and_c_groups_instance_norm(seed):
    x, params = random_input(seed)
    settings = {"epsilon": 1e-5}
    layer_norm = LinenLayerNorm(reduction_axes=(1, 2, 3), **settings).apply(params, x)
    instance_norm = LinenInstanceNorm(**settings).apply(params, x)
    assert np.abs(np.asarray(layer_norm) - np.asarray(instance_norm)).max() > 0.1
    one, each = (GroupNorm(num_groups=g, **settings).apply(params, x) for g in (1, 6))
    np.testing.assert_allclose(one, np.asarray(layer_norm), atol=2e-5)
    np.testing.assert_allclose(each, np.asarray(instance_norm), atol=2e-5)


@pytest.mark.parametrize("seed", range(5))
def test_batch_norm_of_one_example_is_instance_norm(seed):
    x, params = random_input(seed)
    instance = GroupNorm(num_groups=6).apply(params, x)
    batch = BatchNorm(use_running_average=False)
    for i in range(2):
        variables = {
            **params,
            "batch_stats": {"mean": jnp.zeros(6), "var": jnp.ones(6)},
        }
        y = batch.apply(variables, x[i : i + 1])
        np.testing.assert_allclose(y[0], instance[i], atol=2e-5)
    y = batch.apply(variables, x)
    assert np.abs(y - instance).max() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_examples_do_not_see_each_other_as_they_do_in_batch_norm(seed):
    x, params = random_input(seed)
    statistics = {"mean": jnp.zeros(6), "var": jnp.ones(6)}
    variables = {**params, "batch_stats": statistics}
    group, batch = GroupNorm(num_groups=3), BatchNorm(use_running_average=False)
    order = np.random.default_rng(seed).permutation(5)
    y = group.apply(params, x)
    np.testing.assert_allclose(group.apply(params, x[order]), y[order], atol=1e-5)
    np.testing.assert_allclose(group.apply(params, x[:2]), y[:2], atol=1e-5)
    assert (
        np.abs(batch.apply(variables, x[:2]) - batch.apply(variables, x)[:2]).max()
        > 0.1
    )
    changed = x.at[4].add(100.0)
    np.testing.assert_allclose(group.apply(params, changed)[:4], y[:4], atol=1e-5)
    moved = batch.apply(variables, changed)[:4] - batch.apply(variables, x)[:4]
    assert np.abs(moved).max() > 0.1


def test_statistics_are_those_of_each_group(x64):
    x = np.random.default_rng(0).normal(3, 2, (2, 3, 4, 6))
    y, mean, var = group_norm(jnp.asarray(x), 3, None, None, 0.0)
    blocks = x.reshape(2, 12, 3, 2)
    np.testing.assert_allclose(mean, blocks.mean((1, 3)), rtol=1e-12)
    np.testing.assert_allclose(var, blocks.var((1, 3)), rtol=1e-12)
    out = np.asarray(y).reshape(blocks.shape)
    np.testing.assert_allclose(out.mean((1, 3)), 0.0, atol=1e-12)
    np.testing.assert_allclose(out.var((1, 3)), 1.0, rtol=1e-12)
