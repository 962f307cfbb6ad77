"""What a batch tells of the channels in front of a norm."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.train.channels import make_channels, statistics_of
from normlab.train.program import data_arrays
from tests import tiny


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_statistics_are_those_of_numpy(offset):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4, 5, 3)) @ rng.normal(size=(3, 3)) + offset
    x = x.astype(np.float32)
    found = jax.jit(statistics_of)(x)
    flat = x.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(found.mean, flat.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.var, flat.var(0), rtol=1e-3)
    np.testing.assert_allclose(found.correlation, np.corrcoef(flat.T), atol=1e-3)
    assert np.abs(found.correlation[0, 1]) > 0.05


def test_a_constant_channel_is_correlated_with_none():
    x = np.random.default_rng(0).normal(size=(8, 2, 2, 3)).astype(np.float32)
    x[..., 1] = 2.5
    found = jax.tree.map(np.asarray, jax.jit(statistics_of)(x))
    assert found.var[1] == 0
    np.testing.assert_array_equal(found.correlation[1], 0)
    np.testing.assert_array_equal(found.correlation[:, 1], 0)
    np.testing.assert_allclose(np.diagonal(found.correlation)[::2], 1, rtol=1e-5)


def test_it_looks_at_what_goes_into_the_norm_in_the_next_step():
    """By the slow way: the convolution by itself, on the images of the batch."""
    data = tiny.dataset()
    program = tiny.program(tiny.cell_config(norm="group_correlated"), data)
    assert program.channels is not None
    hyper = {name: jnp.float32(0) for name in ("lr", "momentum", "weight_decay")}
    state = jax.jit(program.init)(3, hyper)
    moved = jax.tree.map(lambda p: np.asarray(p) + np.float32(0.1), state.params)
    state, picked = state.replace(params=moved), np.array([3, 20, 7, 11, 0])
    found = jax.jit(program.channels)(state, picked, data_arrays(data))
    images = data.train_x.astype(np.float64)
    x = ((images - images.mean((0, 1, 2))) / images.std((0, 1, 2)))[picked]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    conv = jax.tree.map(np.asarray, state.params["conv1"])
    y = np.einsum("nhwcij,ijcd->nhwd", patches, conv["kernel"]) + conv["bias"]
    flat = y.reshape(-1, 4)
    assert list(found) == ["norm1"]
    np.testing.assert_allclose(found["norm1"].mean, flat.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found["norm1"].var, flat.var(0), rtol=1e-4)
    correlation = found["norm1"].correlation
    np.testing.assert_allclose(correlation, np.corrcoef(flat.T), atol=1e-4)


def test_only_a_norm_with_assigned_groups_has_them_looked_at():
    assert tiny.program(tiny.cell_config(norm="group")).channels is None


def test_augmentation_is_that_of_the_step():
    @jax.jit
    def key_of(state, arrays):
        keys = []

        def prepare(key, images):
            keys.append(jax.random.key_data(key))
            return images.astype(jnp.float32)

        make_channels(dataclasses.replace(network, prepare=prepare))(
            state, np.arange(5), arrays
        )
        return keys

    cell = tiny.cell_config(norm="group_correlated")
    network = tiny.network(cell)
    program = tiny.program(cell)
    hyper = {name: jnp.float32(0) for name in ("lr", "momentum", "weight_decay")}
    state = jax.jit(program.init)(jnp.int32(0), hyper)
    arrays = data_arrays(tiny.dataset())
    first, second, again = (
        np.asarray(key_of(dataclasses.replace(state, step=np.int32(step)), arrays))
        for step in (0, 1, 0)
    )
    np.testing.assert_array_equal(first, again)
    assert first.size > 0 and np.any(first != second)
