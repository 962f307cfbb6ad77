"""Statistics over a mapped axis equal those of the whole batch."""

import os
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
    x = jnp.asarray(rng.normal(4, 2, (12, 2, 2, 3)), jnp.float32)
    x = x + jnp.repeat(jnp.arange(SHARDS) * 10.0, 3).reshape(12, 1, 1, 1)
    mask = jnp.asarray(np.arange(12) < 8).reshape(12, 1, 1, 1) if masked else None
    cotangent = jnp.asarray(rng.normal(size=x.shape), jnp.float32)
    whole = BatchNorm(use_running_average=False, momentum=0.5)
    shard = whole.clone(axis_name="shards")
    variables = shard.init(jax.random.key(0), x)  # the axis is not bound yet

    def split(v: Any) -> Any:
        return None if v is None else v.reshape(SHARDS, -1, *v.shape[1:])

    parts = [split(v) for v in (x, mask, cotangent)]
    case = (variables, x, mask, cotangent)
    params_bar, x_bar, y, new = jax.jit(lambda: gradients_and_output(whole, *case))()

    def one(x, mask, cotangent):
        return gradients_and_output(shard, variables, x, mask, cotangent)

    in_axes = (0, 0 if masked else None, 0)
    mapped = jax.vmap(one, in_axes, axis_name="shards")
    p_bars, x_bars, ys, news = jax.jit(mapped)(*parts)
    np.testing.assert_allclose(ys.reshape(y.shape), y, atol=1e-5)
    np.testing.assert_allclose(x_bars.reshape(x.shape), x_bar, atol=1e-5)
    for name, gradient in params_bar.items():
        np.testing.assert_allclose(p_bars[name].sum(0), gradient, atol=1e-4)
    for name, value in new["batch_stats"].items():
        for part in news["batch_stats"][name]:  # every shard holds the same
            np.testing.assert_allclose(part, value, rtol=1e-5)
    apart = whole.apply(variables, parts[0][0])  # a shard by itself differs
    assert np.abs(apart - y[:3]).max() > 0.5


def test_group_norm_over_rows_in_shards_equals_the_whole():
    x = jax.random.normal(jax.random.key(0), (2, 8, 3, 6))
    x = x + jnp.arange(8.0).reshape(1, 8, 1, 1)
    whole = GroupNorm(num_groups=2)
    shard = whole.clone(axis_name="rows")
    params = shard.init(jax.random.key(1), x)
    y = whole.apply(params, x)
    rows = x.reshape(2, SHARDS, 2, 3, 6)
    mapped = jax.vmap(lambda x: shard.apply(params, x), 1, 1, axis_name="rows")
    np.testing.assert_allclose(jax.jit(mapped)(rows).reshape(x.shape), y, atol=1e-5)
    assert np.abs(whole.apply(params, rows[:, 0]) - y[:, :2]).max() > 0.5


PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, PartitionSpec as P
from normlab.norms import BatchNorm
x = jax.random.normal(jax.random.key(0), (8, 3)) + jnp.arange(8.0).reshape(8, 1)
whole = BatchNorm(use_running_average=False)
pairs = whole.clone(axis_name="d", axis_index_groups=[[0, 1], [2, 3]])
variables = whole.init(jax.random.key(1), x)
mesh = jax.make_mesh((4,), ("d",), axis_types=(AxisType.Auto,))
spec = dict(mesh=mesh, in_specs=P("d"), out_specs=P("d"), check_vma=False)
y = jax.jit(jax.shard_map(lambda x: pairs.apply(variables, x), **spec))(x)
halves = [whole.apply(variables, h) for h in (x[:4], x[4:])]
np.testing.assert_allclose(y, jnp.concatenate(halves), atol=1e-5)
assert abs(y - whole.apply(variables, x)).max() > 0.5
"""


def test_index_groups_normalize_by_themselves():
    """On four CPU devices, which a process must ask for before it starts JAX."""
    flags = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
