"""Statistics over a mapped axis equal those of the whole batch."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from normlab import norms

# Linen declares return types wider than what an array function takes: Any for them.
BatchNorm: Any = norms.BatchNorm
GroupNorm: Any = norms.GroupNorm
SHARDS = 4


def gradients_and_output(layer, params, x, mask, cotangent):
    def loss(params, x):
        y, new = layer.apply(params, x, mask=mask, mutable=["batch_stats"])
        return (cotangent * y).sum(), (y, new)

    grad = jax.grad(loss, argnums=(0, 1), has_aux=True)
    ((params_bar, x_bar), (y, new)) = grad(params, x)
    return params_bar.get("params"), x_bar, y, new


@pytest.mark.parametrize("masked", [False, True])
def test_batch_norm_over_shards_equals_the_whole(masked):
    """The mask leaves one shard without a single example."""
    rng = np.random.default_rng(0)
    x = rng.normal(4, 2, (12, 2, 2, 3)).astype("float32")
    x += np.repeat(np.arange(SHARDS) * 10, 3).reshape(12, 1, 1, 1)
    mask = (np.arange(12) < 8).reshape(12, 1, 1, 1) if masked else None
    cotangent = rng.normal(size=x.shape).astype("float32")
    whole = BatchNorm(use_running_average=False, momentum=0.5)
    shard = whole.clone(axis_name="shards")
    init = jax.jit(shard.init)
    variables = init(jax.random.key(0), x)  # the axis is not bound yet

    def split(v: Any) -> Any:
        return None if v is None else v.reshape(SHARDS, -1, *v.shape[1:])

    parts = [split(v) for v in (x, mask, cotangent)]
    case = (variables, x, mask, cotangent)
    params_bar, x_bar, y, new = jax.jit(partial(gradients_and_output, whole))(*case)

    def one(x, mask, cotangent):
        return gradients_and_output(shard, variables, x, mask, cotangent)

    in_axes = (0, 0 if masked else None, 0)
    mapped = jax.vmap(one, in_axes, axis_name="shards")
    p_bars, x_bars, ys, news = jax.tree.map(np.asarray, jax.jit(mapped)(*parts))
    np.testing.assert_allclose(ys.reshape(y.shape), y, atol=1e-5)
    np.testing.assert_allclose(x_bars.reshape(x.shape), x_bar, atol=1e-5)
    for name, gradient in params_bar.items():
        np.testing.assert_allclose(p_bars[name].sum(0), gradient, atol=1e-4)
    for name, value in new["batch_stats"].items():
        for part in news["batch_stats"][name]:  # every shard holds the same
            np.testing.assert_allclose(part, value, rtol=1e-5)
    apart = jax.jit(whole.apply)(variables, parts[0][0])  # a shard by itself differs
    assert np.abs(apart - np.asarray(y)[:3]).max() > 0.5


def test_group_norm_over_rows_in_shards_equals_the_whole():
    x = np.random.default_rng(0).normal(size=(2, 8, 3, 6)).astype("float32")
    x += np.arange(8).reshape(1, 8, 1, 1)
    whole = GroupNorm(num_groups=2)
    shard = whole.clone(axis_name="rows")
    params = jax.jit(shard.init)(jax.random.key(1), x)
    apply = jax.jit(whole.apply)
    y = np.asarray(apply(params, x))
    rows = x.reshape(2, SHARDS, 2, 3, 6)
    mapped = jax.vmap(lambda x: shard.apply(params, x), 1, 1, axis_name="rows")
    found = np.asarray(jax.jit(mapped)(rows))
    np.testing.assert_allclose(found.reshape(x.shape), y, atol=1e-5)
    assert np.abs(apply(params, rows[:, 0]) - y[:, :2]).max() > 0.5


def test_index_groups_normalize_by_themselves():
    """On the four CPU devices that the tests have."""
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    x += np.arange(8).reshape(8, 1)
    whole = BatchNorm(use_running_average=False)
    pairs = whole.clone(axis_name="d", axis_index_groups=[[0, 1], [2, 3]])
    apply = jax.jit(whole.apply)
    variables = jax.jit(whole.init)(jax.random.key(1), x)
    mesh = jax.make_mesh((4,), ("d",), axis_types=(AxisType.Auto,))
    spec: Any = {"mesh": mesh, "in_specs": P("d"), "out_specs": P("d")}
    mapped = jax.shard_map(lambda x: pairs.apply(variables, x), check_vma=False, **spec)
    y = np.asarray(jax.jit(mapped)(x))
    halves = [apply(variables, half) for half in (x[:4], x[4:])]
    np.testing.assert_allclose(y, np.concatenate(halves), atol=1e-5)
    assert np.abs(y - apply(variables, x)).max() > 0.5
