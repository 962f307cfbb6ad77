"""Directions: as long as the filters, zero elsewhere; principal ones against an SVD."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.quantities.directions import (
    combine,
    filter_norms,
    principal_directions,
    project,
    random_direction,
)

KEY = jax.random.key(3)
DRAW = jax.jit(random_direction)


def params(seed: int = 0, norm: str | None = "norm1") -> dict:
    random = np.random.default_rng(seed)

    def draw(*shape):
        return random.normal(size=shape).astype(np.float32)

    found = {
        "conv1": {"kernel": draw(3, 3, 2, 4), "bias": draw(4)},
        "dense1": {"kernel": draw(5, 3), "bias": draw(3)},
    }
    if norm:
        found[norm] = {"scale": draw(4), "bias": draw(4)}
    return found


def vector(tree) -> np.ndarray:
    """The kernels as one vector."""
    kernels = [tree["conv1"]["kernel"], tree["dense1"]["kernel"]]
    return np.concatenate([np.asarray(k, np.float64).reshape(-1) for k in kernels])


def path(count: int = 6) -> dict:
    """Points whose variance differs much between directions; each moves all."""
    random = np.random.default_rng(1)
    weights_T2 = random.normal(size=(count, 2)) * [5.0, 1.0]
    first, second = params(10), params(11)
    points = []
    for t, (a, b) in enumerate(weights_T2):
        noise = params(20 + t)
        points.append(
            jax.tree.map(
                lambda u, v, n, a=a, b=b: np.float32(a * u + b * v + 0.05 * n),
                first,
                second,
                noise,
            )
        )
    return jax.tree.map(lambda *leaves: np.stack(leaves), *points)


def matrix(points_T) -> np.ndarray:
    count = len(points_T["conv1"]["bias"])
    return np.stack(
        [vector(jax.tree.map(lambda x, t=t: x[t], points_T)) for t in range(count)]
    )


def test_filters_are_as_long_as_those_of_the_network():
    theta = jax.tree.map(jnp.asarray, params())
    found = DRAW(KEY, theta)
    for layer, axes in (("conv1", (0, 1, 2)), ("dense1", (0,))):
        kernel, direction = theta[layer]["kernel"], np.asarray(found[layer]["kernel"])
        np.testing.assert_allclose(
            np.linalg.norm(direction.reshape(-1, direction.shape[-1]), axis=0),
            np.linalg.norm(np.asarray(kernel).reshape(-1, kernel.shape[-1]), axis=0),
            rtol=1e-5,
        )
        assert filter_norms(kernel).shape == (1,) * len(axes) + kernel.shape[-1:]


def test_biases_and_norms_stay():
    found = DRAW(KEY, jax.tree.map(jnp.asarray, params()))
    for layer, name in (
        ("conv1", "bias"),
        ("dense1", "bias"),
        ("norm1", "scale"),
        ("norm1", "bias"),
    ):
        assert not np.any(found[layer][name])


def test_a_filter_of_zeros_stays():
    theta = jax.tree.map(jnp.asarray, params())
    kernel = theta["dense1"]["kernel"].at[:, 1].set(0.0)
    theta["dense1"] = {**theta["dense1"], "kernel": kernel}
    found = np.asarray(DRAW(KEY, theta)["dense1"]["kernel"])
    assert not np.any(found[:, 1]) and np.all(found[:, 0])


def test_keys_and_layers_tell_what_is_drawn():
    theta = jax.tree.map(jnp.asarray, params())
    bare = jax.tree.map(jnp.asarray, params(norm=None))
    one, same = DRAW(KEY, theta), DRAW(KEY, bare)
    other = DRAW(jax.random.key(4), theta)
    np.testing.assert_array_equal(one["conv1"]["kernel"], same["conv1"]["kernel"])
    assert np.all(one["conv1"]["kernel"] != other["conv1"]["kernel"])
    # In many dimensions two of them are nearly orthogonal.
    u, v = vector(one), vector(other)
    assert abs(u @ v) < 0.5 * np.linalg.norm(u) * np.linalg.norm(v)


def test_what_is_drawn_is_gaussian():
    theta = {"dense1": {"kernel": jnp.ones((4000, 2))}}
    found = np.asarray(DRAW(KEY, theta)["dense1"]["kernel"])
    assert abs(found.mean()) < 0.05 and abs(found.std() - 1) < 0.02
    assert abs((found**4).mean() / found.var() ** 2 - 3) < 0.3


def test_combine():
    theta, u, v = (params(i) for i in range(3))
    found = combine(theta, u, v, 0.5, -2.0)
    expected = jax.tree.map(lambda x, y, z: x + 0.5 * y - 2.0 * z, theta, u, v)
    jax.tree.map(np.testing.assert_allclose, found, expected)


def test_principal_directions_are_those_of_an_svd():
    points_T = path()
    (first, second), shares = principal_directions(points_T)
    rows = matrix(points_T)
    _, values, directions = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(shares, values[:2] ** 2 / (values**2).sum(), rtol=1e-6)
    for found, expected in zip((first, second), directions, strict=False):
        assert np.linalg.norm(vector(found)) == pytest.approx(1, abs=1e-5)
        assert abs(vector(found) @ expected) == pytest.approx(1, abs=1e-5)
        assert vector(found) @ rows[0] > 0
        assert not np.any(found["conv1"]["bias"]) and not np.any(
            found["norm1"]["scale"]
        )
    assert vector(first) @ vector(second) == pytest.approx(0, abs=1e-5)


def test_only_kernels_count():
    points_T = path()
    loud = {**points_T, "norm1": jax.tree.map(lambda x: 1e4 * x, points_T["norm1"])}
    np.testing.assert_array_equal(
        principal_directions(points_T).shares, principal_directions(loud).shares
    )


def test_projections():
    points_T = path()
    directions = (params(5), params(6))
    found = project(points_T, directions)
    expected = matrix(points_T) @ np.stack([vector(d) for d in directions]).T
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_kernels_are_taken_in_blocks(monkeypatch):
    points_T = path()
    found = principal_directions(points_T)
    monkeypatch.setattr("normlab.quantities.directions._BLOCK", 7)
    again = principal_directions(points_T)
    np.testing.assert_allclose(found.shares, again.shares, rtol=1e-9)
    np.testing.assert_allclose(
        project(points_T, found.directions), project(points_T, again.directions), 1e-4
    )


def test_a_path_that_is_a_line():
    points_T = jax.tree.map(
        lambda x: np.stack([x * np.float32(t) for t in (4.0, 1.0, 0.0)]), params()
    )
    (first, second), shares = principal_directions(points_T)
    assert shares[0] == pytest.approx(1) and shares[1] == 0
    assert np.any(vector(first)) and not np.any(vector(second))
    length = np.linalg.norm(vector(params()))
    coordinates = project(points_T, (first, second))
    np.testing.assert_allclose(coordinates[:, 0], length * np.array([4, 1, 0]), 1e-5)
    np.testing.assert_array_equal(coordinates[:, 1], 0)


def test_a_path_that_stands_still():
    points_T = jax.tree.map(lambda x: np.stack([x, x, x]), params())
    directions, shares = principal_directions(points_T)
    assert not shares.any() and not any(vector(d).any() for d in directions)
