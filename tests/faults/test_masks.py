"""Masked elements reach nothing, whatever they hold: every norm, every derivative."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from normlab import norms
from normlab.norms import NORMS, functional, lp, make_norm
from normlab.settings.norms import LP
from tests.quick import quick

pytestmark = pytest.mark.faults

BatchNorm: Any = norms.BatchNorm  # Linen declares wider types: Any
GroupNorm: Any = norms.GroupNorm

KINDS = {
    kind: {"groups": 2} if "groups" in entry.reads else {}
    for kind, entry in NORMS.items()
    if entry.invariant
}
CASES = [(kind, options) for kind, options in KINDS.items() if kind != "batch_lp"]
CASES += [("batch_lp", {"norm_p": p}) for p in LP]
CASES += [("batch_noisy", {"noise_place": "before"})]
AVERAGING = [(k, o) for k, o in CASES if NORMS[k].running]
JUNK = (np.nan, np.inf, -np.inf, 1e38, -3e38)
SHAPE = (4, 2, 3, 4)

_elements = np.random.default_rng(1).random(SHAPE) < 0.7
MASKS = {
    "the last example": (np.arange(4) < 3).reshape(4, 1, 1, 1),
    "single elements": _elements,
    "a channel": (np.arange(4) != 1).reshape(1, 1, 1, 4),
    "everything": np.zeros((4, 1, 1, 1), bool),
}


class Model(nn.Module):
    norm: Any

    @nn.compact
    def __call__(self, x, *, statistics, mask=None):
        return self.norm("norm1")(x, statistics=statistics, mask=mask)


def draw(shape=SHAPE, seed=0):
    x = np.random.default_rng(seed).normal(2, 3, shape)
    return x.astype("float32")


def variables_of(model, shape=SHAPE):
    """A scale, a bias and running averages that nothing leaves as they are.

    Made with numpy, which needs no compiling.
    """

    def make(where, leaf):
        if leaf.dtype == jnp.int32:  # an assignment
            return np.arange(leaf.size, dtype=np.int32) // (leaf.size // 2)
        start = where[-1].key in ("scale", "var")
        return (start + 0.1 * np.arange(1.0, leaf.size + 1)).astype(leaf.dtype)

    shapes = jax.eval_shape(
        lambda x: model.init(jax.random.key(0), x, statistics="batch"), draw(shape)
    )
    return jax.tree_util.tree_map_with_path(make, dict(shapes))


def squares(tree):
    return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(tree))


def derivatives(model, statistics):
    """``f(params, stats, x, mask)``: all that a masked element could reach."""

    def loss(params, stats, x, real):
        y, new = model.apply(
            {"params": params, "batch_stats": stats},
            x,
            statistics=statistics,
            mask=real,
            mutable=["batch_stats"],
            rngs={"noise": jax.random.key(3, impl="rbg")},  # compiles sooner
        )
        seen = jnp.where(real, jnp.sin(y) + jnp.square(y), 0)
        return seen.sum(), (jnp.where(real, y, 0), jnp.isfinite(y).all(), new)

    @quick
    def every(params, stats, x, real):
        def gradient(params, x):
            found = jax.grad(loss, argnums=(0, 2), has_aux=True)
            return found(params, stats, x, real)

        along = jax.tree.map(jnp.ones_like, (params, x))
        reverse, change, aux = jax.jvp(gradient, (params, x), along, has_aux=True)
        _, forward = jax.jvp(
            lambda params, x: loss(params, stats, x, real)[0], (params, x), along
        )
        twice = jax.grad(lambda *at: squares(gradient(*at)[0]), argnums=(0, 1))
        return reverse, change, forward, twice(params, x), aux

    return every


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_what_masked_elements_hold_changes_nothing(kind, options, tally):
    """Output, averages, and derivatives of first and second order, to the bit."""
    model = Model(make_norm(kind, epsilon=1e-3, **options))
    variables = variables_of(model)
    params, stats = variables.get("params", {}), variables.get("batch_stats", {})
    x = draw()
    # With running averages they differ in the averages alone.
    for statistics in ("batch", "running") if NORMS[kind].running else ("batch",):
        every = derivatives(model, statistics)
        for mask in MASKS.values():
            real = np.broadcast_to(mask, SHAPE)
            expected = every(params, stats, np.where(real, x, 0), real)
            for leaf in jax.tree.leaves(expected):
                assert np.isfinite(leaf).all()
            for junk in JUNK:
                holed = np.where(real, x, np.float32(junk))
                found = every(params, stats, holed, real)
                jax.tree.map(np.testing.assert_array_equal, found, expected)
                tally["masked values"] += 1


@pytest.mark.parametrize(
    ("groups", "epsilon"), [(1, 0.0), (2, 1e-5), (8, 0.0), (8, 1e-5)]
)
def test_an_example_masked_out_whole_leaves_the_others_their_gradients(groups, epsilon):
    """Of (4, 3, 8), the last of which used to make the gradient of scale NaN."""
    layer = GroupNorm(num_groups=groups, epsilon=epsilon)
    x = draw((4, 3, 8))
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    mask = (np.arange(4) < 3).reshape(4, 1, 1)

    def loss(variables, x, mask):
        y = jnp.sin(layer.apply(variables, x, mask=mask))
        return y.sum() if mask is None else jnp.where(mask, y, 0).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    found, by_x = gradient(variables, x, mask)
    expected, by_real_x = gradient(variables, x[:3], None)
    for name in ("scale", "bias"):
        one, other = found["params"][name], expected["params"][name]
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_x[:3], by_real_x, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(by_x[3], 0)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_a_batch_of_nothing_leaves_the_averages(kind, options):
    """To the bit; and its gradients are finite."""
    mask = np.zeros((4, 1, 1, 1), np.float32)

    def gradient(variables, x, epsilon, mask):
        norm = make_norm(kind, epsilon=epsilon, norm_momentum=0.9, **options)
        model = Model(norm)

        def loss(params, x):
            now = {**variables, "params": params}
            y, new = model.apply(
                now, x, statistics="batch", mask=mask, mutable=["batch_stats"]
            )
            return y.sum() if mask is None else jnp.where(mask > 0, y, 0).sum(), new

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(variables["params"], x)

    @quick  # one program for all
    def gradients(variables, x, holed):
        return [
            *(gradient(variables, x, epsilon, mask) for epsilon in (0.0, 1e-5)),
            *(gradient(variables, holed, epsilon, mask) for epsilon in (0.0, 1e-5)),
            gradient(variables, x[:0], 0.0, None),
            gradient(variables, x[:, :, :0], 1e-5, None),
        ]

    variables, x = variables_of(Model(make_norm(kind, **options))), draw()
    before = variables.get("batch_stats", {})
    found = gradients(variables, x, x * np.float32(np.nan))
    assert len(found) == 6
    for by_all, new in found:
        jax.tree.map(np.testing.assert_array_equal, new.get("batch_stats", {}), before)
        for leaf in jax.tree.leaves(by_all):
            np.testing.assert_array_equal(leaf, 0)


@pytest.mark.parametrize(("kind", "options"), AVERAGING)
def test_a_channel_masked_out_whole_keeps_its_averages_alone(kind, options):
    model = Model(make_norm(kind, norm_momentum=0.9, **options))
    variables = variables_of(model)
    x, mask = draw(), MASKS["a channel"]
    apply = jax.jit(
        lambda x: model.apply(
            variables, x, statistics="batch", mask=mask, mutable=["batch_stats"]
        )
    )
    for masked in (x, np.where(np.arange(4) == 1, np.float32(np.nan), x)):
        _, new = apply(masked)
        for name, old in variables["batch_stats"]["norm1"].items():
            same = np.asarray(new["batch_stats"]["norm1"][name] == old)
            np.testing.assert_array_equal(same, [False, True, False, False])


@pytest.mark.parametrize("alive", [3, 0])
def test_shards_masked_out_whole(alive):
    """Over a mapped axis the last shard, or all of them, may hold NaN alone."""
    whole = BatchNorm(use_running_average=False, momentum=0.9)
    shard = whole.clone(axis_name="shards")
    x = draw((4, 3, 2, 5))
    mask = np.broadcast_to(np.arange(4).reshape(4, 1, 1, 1) < alive, (4, 3, 1, 1))
    variables = jax.jit(whole.init)(jax.random.key(0), x[0])

    def gradient(layer):
        def loss(params, x, mask):
            now = {**variables, "params": params}
            y, new = layer.apply(now, x, mask=mask, mutable=["batch_stats"])
            return jnp.where(mask, jnp.sin(y), 0).sum(), new["batch_stats"]

        return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))

    mapped = jax.jit(jax.vmap(gradient(shard), (None, 0, 0), axis_name="shards"))
    holed = np.where(mask, x, np.float32(np.nan))
    (by_params, by_x), new = mapped(variables["params"], holed, mask)
    rows, real = x[:alive].reshape(-1, 2, 5), np.ones((3 * alive, 1, 1), bool)
    (expected, by_rows), wanted = gradient(whole)(variables["params"], rows, real)
    for name, value in expected.items():
        shares = np.asarray(by_params[name])
        np.testing.assert_allclose(shares.sum(0), value, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_x[:alive].reshape(rows.shape), by_rows, atol=1e-5)
    np.testing.assert_array_equal(by_x[alive:], 0)
    for name, value in wanted.items():
        each = np.broadcast_to(value, (4, *value.shape))
        np.testing.assert_allclose(new[name], each, rtol=1e-6)
        if not alive:
            old = variables["batch_stats"][name]
            np.testing.assert_array_equal(new[name], np.broadcast_to(old, each.shape))


def test_a_group_of_shards_masked_out_whole():
    """It keeps its averages; a shard beside a live one takes part in the mean."""
    layer = BatchNorm(use_running_average=False, momentum=0.0, axis_name="d")
    layer = layer.clone(axis_index_groups=[[0, 1], [2, 3]])
    x = draw((8, 3))
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    mask = (np.arange(8) < 2).reshape(8, 1)  # all of the first shard, and no other
    mesh = jax.make_mesh((4,), ("d",), axis_types=(AxisType.Auto,))

    def one(x, mask):
        _, new = layer.apply(variables, x, mask=mask, mutable=["batch_stats"])
        return new["batch_stats"]["mean"][None, :]

    mapped: Any = jax.shard_map(
        one, mesh=mesh, in_specs=P("d"), out_specs=P("d"), check_vma=False
    )
    means = jax.jit(mapped)(np.where(mask, x, np.float32(np.nan)), mask)
    live = np.broadcast_to(x[:2].mean(0), (2, 3))
    np.testing.assert_allclose(means[:2], live, rtol=1e-6)
    np.testing.assert_array_equal(means[2:], np.zeros((2, 3)))  # as it starts


def test_functions_say_what_nothing_comes_to():
    """Mean 0 and variance 1, of a masked block and of an empty one."""

    @quick
    def moments(x, mask):
        found = []
        for taken, masked in ((x, mask), (x[:0], None), (x[:0], mask[:0])):
            found += [
                functional.moments(taken, (0, 1, 2), mask=masked),
                functional.batch_norm(taken, None, None, 0.0, mask=masked)[1:],
                *(
                    lp.lp_batch_norm(taken, None, None, p, 0.0, mask=masked)[1:]
                    for p in LP
                ),
            ]
        groups = functional.group_norm(x, 2, None, None, 0.0, mask=mask)
        return found, (groups.mean, groups.var)

    x, mask = draw() * np.float32(np.nan), np.zeros((4, 1, 1, 1), np.float32)
    found, of_groups = moments(x, mask)
    assert len(found) == 3 * (2 + len(LP))
    for pairs, shape in ((found, (4,)), ([of_groups], (4, 2))):
        for mean, var in pairs:
            np.testing.assert_array_equal(mean, np.zeros(shape))
            np.testing.assert_array_equal(var, np.ones(shape))
