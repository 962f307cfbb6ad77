"""Lines and planes through the parameters of any loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab
from normlab.errors import UserError
from normlab.figures import landscape_contour, landscape_line
from normlab.quantities.directions import random_direction

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(7, 3)), jnp.float32)
PARAMS = {
    "kernel": jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32),
    "bias": jnp.ones(2),
    "count": jnp.asarray(3),
}


def loss(params, x):
    return jnp.mean((x @ params["kernel"] + params["bias"][None]) ** 2)


def test_a_plane_of_random_directions():
    table = normlab.plane(loss, PARAMS, X, points=5, span=0.5, seed=3)
    floats = {k: v for k, v in PARAMS.items() if k != "count"}
    keys = [jax.random.fold_in(jax.random.key(3), i) for i in range(2)]
    u, v = (random_direction(key, floats)["kernel"] for key in keys)
    assert len(table) == 25 and set(table["a"]) == {-0.5, -0.25, 0, 0.25, 0.5}
    for _, row in table.iterrows():
        there = PARAMS["kernel"] + row["a"] * u + row["b"] * v
        expected = loss({**PARAMS, "kernel": there}, X)
        np.testing.assert_allclose(row["loss"], expected, rtol=1e-5)
    assert landscape_contour.draw(table).axes


def test_a_line_is_the_middle_of_a_plane():
    line = normlab.line(loss, PARAMS, X, points=5)
    plane = normlab.plane(loss, PARAMS, X, points=5)
    middle = plane[plane["b"] == 0]
    np.testing.assert_allclose(line["loss"], middle["loss"], rtol=1e-6)
    assert landscape_line.draw(line).axes


def test_between_two_sets_of_parameters():
    other = jax.tree.map(lambda x: 2 * x, PARAMS)
    table = normlab.between(loss, PARAMS, other, X, points=3, span=0.5)
    assert list(table["a"]) == [0, 0.5, 1]
    np.testing.assert_allclose(table["loss"].iloc[0], loss(PARAMS, X), rtol=1e-6)
    np.testing.assert_allclose(table["loss"].iloc[2], loss(other, X), rtol=1e-6)
    assert landscape_line.draw(table).axes


def test_the_plane_of_a_path():
    path = [
        {**PARAMS, "kernel": PARAMS["kernel"] * c + c**2} for c in (1.0, 0.5, 0.2, 0.1)
    ]
    table = normlab.path_plane(loss, path, X, points=7, steps=[0, 1, 2, 5])
    on_path = table[table["path_step"].notna()]
    assert list(on_path["path_step"]) == [0, 1, 2, 5]
    assert (on_path[["a", "b"]].iloc[-1].abs() < 1e-6).all()
    np.testing.assert_allclose(table["share_a"] + table["share_b"], 1, atol=1e-5)
    assert len(table) == 49 + 4
    assert landscape_contour.draw(table).axes


def test_mistakes_are_said():
    with pytest.raises(UserError, match="points=4"):
        normlab.plane(loss, PARAMS, X, points=4)
    with pytest.raises(UserError, match="needs 3 points"):
        normlab.path_plane(loss, [PARAMS], X)
    with pytest.raises(UserError, match="must be scalar"):
        normlab.line(lambda p, x: x @ p["kernel"], PARAMS, X)
