"""The NNX modules compute what the Linen ones do, and their variables do not leak."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from normlab import norms as linen
from normlab.errors import UserError
from normlab.norms import nnx as norms
from tests.marks import slow

N, H, C = 6, 3, 8
# Name -> (the NNX module, the Linen one, options of both).
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "batch": (norms.BatchNorm, linen.BatchNorm, {"momentum": 0.9}),
    "batch, no scale": (norms.BatchNorm, linen.BatchNorm, {"use_scale": False}),
    "batch, axis 1": (norms.BatchNorm, linen.BatchNorm, {"axis": 1}),
    "batch, bfloat16": (norms.BatchNorm, linen.BatchNorm, {"dtype": jnp.bfloat16}),
    "lp": (norms.LpBatchNorm, linen.LpBatchNorm, {"p": "1", "epsilon": 1e-3}),
    "group": (norms.GroupNorm, linen.GroupNorm, {"num_groups": 2}),
    "size": (norms.GroupNorm, linen.GroupNorm, {"num_groups": None, "group_size": 2}),
    "layer": (norms.LayerNorm, linen.GroupNorm, {}),
    "instance": (norms.InstanceNorm, linen.GroupNorm, {}),
}
IMPLIED: dict[str, dict[str, Any]] = {
    "layer": {"num_groups": 1},
    "instance": {"num_groups": C},
}
AVERAGES = ("batch", "batch, no scale", "batch, axis 1", "batch, bfloat16", "lp")


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).normal(2, 3, shape).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("masked", [slow(False), True])
def test_the_same_bits_as_linen(case, masked):
    own, other, options = CASES[case]
    features = H if options.get("axis") == 1 else C
    layer = own(features, rngs=nnx.Rngs(0), **options)
    module = other(**options, **IMPLIED.get(case, {}))
    x, weights = numbers(N, H, H, C), numbers(N, H, H, C)
    mask = numbers(N, H, H, 1) > 0 if masked else None
    graph, params, rest = nnx.split(layer, nnx.Param, ...)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda p: rng.normal(size=p.shape).astype(p.dtype), params)
    values = {
        "params": nnx.to_pure_dict(params),
        "batch_stats": nnx.to_pure_dict(rest),
    }
    averaging = case in AVERAGES
    assert bool(values["batch_stats"]) == averaging

    @jax.jit
    def by_nnx(params, rest, x):
        def total(params, x):
            layer = nnx.merge(graph, params, rest, copy=True)
            y = layer(x, mask=mask)
            return (y * weights).sum(), (y, nnx.state(layer, nnx.BatchStat))

        (_, (y, after)), slopes = jax.value_and_grad(total, (0, 1), has_aux=True)(
            params, x
        )
        evaluated = y
        if averaging:
            evaluated = nnx.merge(graph, params, after, copy=True)(x, True, mask=mask)
        return y, evaluated, after, slopes

    @jax.jit
    def by_linen(values, x):
        how: dict[str, Any] = {"use_running_average": False} if averaging else {}

        def total(params, x):
            y, after = module.apply(
                {**values, "params": params},
                x,
                mask=mask,
                mutable=["batch_stats"],
                **how,
            )
            return (y * weights).sum(), (y, after)

        (_, (y, after)), slopes = jax.value_and_grad(total, (0, 1), has_aux=True)(
            values["params"], x
        )
        evaluated = y
        if averaging:
            how = {"use_running_average": True}
            evaluated = module.apply({**values, **after}, x, mask=mask, **how)
        return y, evaluated, after.get("batch_stats", {}), slopes

    y, evaluated, after, slopes = by_nnx(params, rest, x)
    wanted = by_linen(values, x)
    assert y.dtype == wanted[0].dtype
    assert not np.array_equal(np.asarray(y, np.float32), x)
    found = (
        y,
        evaluated,
        nnx.to_pure_dict(after),
        (nnx.to_pure_dict(slopes[0]), slopes[1]),
    )
    if averaging:
        assert not np.array_equal(found[2]["mean"], values["batch_stats"]["mean"])
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_modes():
    layer: Any = norms.BatchNorm(C, rngs=nnx.Rngs(0))
    x = numbers(N, C)
    trained = layer(x)
    before = np.asarray(layer.mean[...])
    assert np.any(before != 0)
    layer.eval()
    evaluated = layer(x)
    assert not np.allclose(trained, evaluated)
    np.testing.assert_array_equal(layer.mean[...], before)
    layer.train()
    np.testing.assert_array_equal(layer(x), trained)
    assert np.any(np.asarray(layer.mean[...]) != before)


def test_variables_do_not_leak():
    """After NNX's transforms they are arrays; JAX's alone raise an error instead."""
    layer: Any = norms.BatchNorm(C, rngs=nnx.Rngs(0))
    x = numbers(N, C)

    @nnx.jit
    def step(layer, x):
        return nnx.grad(lambda layer: (layer(x) ** 3).sum())(layer)

    with jax.checking_leaks():
        for _ in range(3):
            step(layer, x)
    for leaf in jax.tree.leaves(nnx.state(layer)):
        assert isinstance(leaf, jax.Array) and np.isfinite(np.asarray(leaf)).all()
    wanted = (1 - 0.99**3) * x.astype(np.float64).mean(0)
    np.testing.assert_allclose(layer.mean[...], wanted, rtol=1e-5)
    before = np.asarray(layer.mean[...])
    for transform in (jax.jit, jax.vmap, lambda f: jax.grad(lambda x: f(x).sum())):
        with pytest.raises(Exception, match="different trace level"):
            transform(lambda x: layer(x))(x[None])
    np.testing.assert_array_equal(layer.mean[...], before)


def test_a_mapped_axis_is_one_batch():
    x = numbers(4, N, C)
    whole, parts = (
        norms.BatchNorm(C, rngs=nnx.Rngs(0), axis_name=name) for name in (None, "d")
    )
    graph, state = nnx.split(parts)

    def part(x):
        layer = nnx.merge(graph, state, copy=True)
        return layer(x), nnx.to_pure_dict(nnx.state(layer, nnx.BatchStat))

    y, after = jax.vmap(part, axis_name="d")(x)
    np.testing.assert_allclose(y, whole(x), atol=1e-5)
    for name in ("mean", "var"):
        np.testing.assert_allclose(after[name][0], getattr(whole, name)[...], rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"num_groups": 3}, {"num_groups": None, "group_size": 3}, {"group_size": 2}],
)
def test_groups_that_do_not_fit(options):
    with pytest.raises(UserError, match="group"):
        norms.GroupNorm(C, rngs=nnx.Rngs(0), **options)
