"""Group norm with assigned groups: group norm of the channels in another order."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab import norms
from normlab.norms.functional import group_norm

# Linen declares return types wider than what an array function takes: Any for both.
AssignedGroupNorm: Any = norms.AssignedGroupNorm
GroupNorm: Any = norms.GroupNorm

CHANNELS = 8
GROUPS = (1, 2, 4, 8)


def shuffled(seed: int, groups: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat(np.arange(groups, dtype=np.int32), 8 // groups))


def case(seed: int) -> Any:
    """x, scale, bias, a cotangent; channels differ in mean and spread."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 4, 5, CHANNELS)) * rng.uniform(0.5, 3, CHANNELS)
    x += rng.normal(0, 3, CHANNELS)
    scale, bias = rng.normal(size=(2, CHANNELS))
    arrays = x, scale, bias, rng.normal(size=x.shape)
    return tuple(v.astype("float32") for v in arrays)


@partial(jax.jit, static_argnums=0)
def output_and_gradients(layer, state, x, scale, bias, cotangent):
    """y and the gradients of sum(cotangent y) by x, scale and bias."""

    def loss(x, scale, bias):
        y = layer.apply({"params": {"scale": scale, "bias": bias}, **state}, x)
        return (cotangent * y).sum(), y

    gradients, y = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(x, scale, bias)
    return y, *gradients


def assigned(assignment):
    return {"batch_stats": {"assignment": assignment}}


@jax.jit
def four_groups(x, scale, bias, assignment):
    """`group_norm` of four groups that are said."""
    return group_norm(x, 4, scale, bias, 1e-5, assignment=assignment)


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", GROUPS)
def test_it_starts_as_group_norm(groups):
    x, *rest = case(groups)
    layer = AssignedGroupNorm(groups)
    state = jax.jit(layer.init)(jax.random.key(0), x)
    assert state["batch_stats"]["assignment"].dtype == jnp.int32
    start = {"batch_stats": state["batch_stats"]}
    found = output_and_gradients(layer, start, x, *rest)
    close(found, output_and_gradients(GroupNorm(groups), {}, x, *rest))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("groups", [2, 4])
def test_it_is_group_norm_of_the_channels_in_the_order_of_their_groups(groups, seed):
    """Output and gradients: the slow twin sorts the channels, and back."""
    x, scale, bias, cotangent = case(seed)
    assignment = shuffled(seed, groups)
    order = np.argsort(assignment, kind="stable")
    back = np.argsort(order)
    twin = output_and_gradients(
        GroupNorm(groups), {}, *(v[..., order] for v in (x, scale, bias, cotangent))
    )
    given = (x, scale, bias, cotangent)
    found = output_and_gradients(
        AssignedGroupNorm(groups), assigned(assignment), *given
    )
    close(found, [v[..., back] for v in twin])
    sequential = output_and_gradients(GroupNorm(groups), {}, *given)
    for a, b in zip(found[:2], sequential[:2], strict=True):
        assert np.abs(a - b).max() > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_permuting_channels_and_assignment_permutes_the_output(seed):
    x, scale, bias, _ = case(seed)
    assignment = shuffled(seed, 4)
    order = np.random.default_rng(seed).permutation(CHANNELS)
    y = np.asarray(four_groups(x, scale, bias, assignment).y)
    z = four_groups(x[..., order], scale[order], bias[order], assignment[order]).y
    np.testing.assert_allclose(z, y[..., order], rtol=1e-5, atol=1e-5)
    assert np.abs(z - y).max() > 0.1


@pytest.mark.parametrize("groups", [1, CHANNELS])
def test_with_one_group_or_a_group_a_channel_the_assignment_means_nothing(groups):
    """Layer and instance norm."""
    x, *rest = case(0)
    found = output_and_gradients(
        AssignedGroupNorm(groups), assigned(shuffled(1, groups)), x, *rest
    )
    close(found, output_and_gradients(GroupNorm(groups), {}, x, *rest))


def test_the_names_of_groups_mean_nothing():
    x, scale, bias, _ = case(0)
    assignment = shuffled(0, 4)
    renamed = np.array([2, 0, 3, 1], np.int32)[assignment]
    y, z = (four_groups(x, scale, bias, a).y for a in (assignment, renamed))
    np.testing.assert_array_equal(y, z)


def test_statistics_are_in_the_order_of_the_groups():
    x = np.random.default_rng(0).normal(2, 3, (3, 4, 5, CHANNELS)).astype("float32")
    assignment = shuffled(0, 4)
    _, mean, var = map(np.asarray, four_groups(x, None, None, assignment))
    for group in range(4):
        block = x[..., assignment == group].astype("float64")
        np.testing.assert_allclose(mean[:, group], block.mean((1, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(var[:, group], block.var((1, 2, 3)), rtol=1e-5)


def test_offset_of_1e4_comes_out_with_mean_0_and_variance_1():
    x = np.random.default_rng(0).normal(1e4, 1, (20, 16, 16, CHANNELS))
    assignment = shuffled(3, 4)
    norm = jax.jit(lambda x, a: group_norm(x, 4, None, None, 0.0, assignment=a).y)
    y = np.asarray(norm(x.astype("float32"), assignment), "float64")
    for group in range(4):
        block = y[..., assignment == group]
        np.testing.assert_allclose(block.mean((1, 2, 3)), 0, atol=1e-6)
        np.testing.assert_allclose(block.var((1, 2, 3)), 1, atol=5e-5)


def test_members_with_other_groups_run_through_one_program():
    x, scale, bias, _ = case(0)
    assignments = np.array([shuffled(seed, 4) for seed in range(5)])
    traces = []

    @jax.jit
    def together(assignments):
        def one(assignment):
            traces.append(assignment)
            return group_norm(x, 4, scale, bias, 1e-5, assignment=assignment).y

        return jax.vmap(one)(assignments)

    found = together(assignments)
    again = together(assignments[::-1])
    assert len(traces) == 1
    np.testing.assert_array_equal(again, np.asarray(found)[::-1])
    for y, assignment in zip(np.asarray(found), assignments, strict=True):
        alone = four_groups(x, scale, bias, assignment).y
        np.testing.assert_allclose(y, alone, rtol=1e-5, atol=1e-5)


def test_it_never_changes_its_groups():
    x, scale, bias, _ = case(0)
    variables = {"params": {"scale": scale, "bias": bias}} | assigned(shuffled(0, 2))
    apply = partial(AssignedGroupNorm(2).apply, mutable=["batch_stats"])
    _, after = jax.jit(apply)(variables, x)
    np.testing.assert_array_equal(
        after["batch_stats"]["assignment"], variables["batch_stats"]["assignment"]
    )
