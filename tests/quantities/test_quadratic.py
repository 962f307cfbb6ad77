"""Quantities of a quadratic, whose answers are known."""

from functools import partial

import jax
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr

from normlab.quantities import QUANTITIES, measure
from tests.quantities import made
from tests.quick import quick

A = made.matrix()
VALUES, VECTORS = np.linalg.eigh(A)
X = np.random.default_rng(1).normal(size=12)
ETAS = (0.5, 1.0, 2.0)
LR = 0.3


def at(values, **how):
    return made.point(made.quadratic(A), values, lr=LR, **how)


def measured(values=X, following=None, names=None, lr=LR):
    """Quantity -> what is found at ``values``, for `ETAS`; one program for all."""
    following = values + 1.0 if following is None else following
    found = _measured(values, following, lr, names or OF_PARAMETERS)
    return jax.tree.map(np.asarray, found)


def _measure(values, following, lr, names):
    site = made.site(probe_etas=ETAS)
    loss = made.quadratic(A)
    point = made.point(loss, values, lr=lr, following=following, where=site)
    return measure(names, point)


_measured = quick(_measure, static_argnums=3)


@pytest.fixture(autouse=True)
def _exact(x64):
    """All of this in float64."""


@pytest.mark.parametrize("index", [0, 5, 11])
def test_along_an_eigenvector_smoothness_is_its_eigenvalue(index):
    """Of every eta, and of the step along the path, whichever length."""
    both = measured(2.0 * VECTORS[:, index], 1.7 * VECTORS[:, index])
    found = both["effective_smoothness"]
    np.testing.assert_allclose(found["beta"], abs(VALUES[index]), rtol=1e-10)
    found = both["gradient_lipschitz"]
    np.testing.assert_allclose(found["lipschitz"], abs(VALUES[index]), rtol=1e-10)
    np.testing.assert_allclose(found["distance"], 0.3, rtol=1e-10)


def test_in_another_direction_smoothness_is_below_the_largest_eigenvalue():
    found = measured()["effective_smoothness"]
    g = A @ X
    expected = np.linalg.norm(A @ g) / np.linalg.norm(g)
    np.testing.assert_allclose(found["beta"], expected, rtol=1e-10)
    assert expected < 0.99 * abs(VALUES).max()


def test_the_grid_against_numpy():
    """Every field of every eta, from the definitions."""
    found = measured()["effective_smoothness"]
    g = A @ X
    for k, eta in enumerate(ETAS):
        there = X - eta * LR * g
        other = A @ there
        expected = {
            "beta": np.linalg.norm(g - other) / (eta * LR * np.linalg.norm(g)),
            "loss": there @ A @ there / 2,
            "distance": np.linalg.norm(there - X),
            "difference": np.linalg.norm(g - other),
            "norm_ratio": np.linalg.norm(other) / np.linalg.norm(g),
            "cosine": g @ other / np.linalg.norm(g) / np.linalg.norm(other),
        }
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][k], value, rtol=1e-10, err_msg=name)


def test_ranges_are_over_the_trial_steps():
    g = A @ X
    points = [X - eta * LR * g for eta in ETAS]
    losses = [x @ A @ x / 2 for x in points]
    away = [np.linalg.norm(g - A @ x) for x in points]
    found = measured()["loss_range"]
    np.testing.assert_allclose(found["low"], min(losses), rtol=1e-10)
    np.testing.assert_allclose(found["high"], max(losses), rtol=1e-10)
    np.testing.assert_allclose(found["here"], X @ A @ X / 2, rtol=1e-10)
    found = measured()["gradient_predictiveness"]
    np.testing.assert_allclose(found["low"], min(away), rtol=1e-10)
    np.testing.assert_allclose(found["high"], max(away), rtol=1e-10)


def test_sizes_of_the_whole_and_of_each_layer():
    found = measured()
    for quantity, whole in (("gradient_norm", A @ X), ("parameter_norm", X)):
        parts = [np.linalg.norm(part) for part in np.split(whole, 3)]
        expected = [np.linalg.norm(whole), *parts]
        np.testing.assert_allclose(found[quantity]["l2"], expected, rtol=1e-10)


def test_covariate_shift_by_layer():
    """G' of layer i is where the layers before i, and only those, have moved."""
    after = X + np.random.default_rng(2).normal(size=12)
    found = measured(following=after)["internal_covariate_shift"]
    for i in range(3):
        mixed = np.concatenate([after[: 4 * i], X[4 * i :]])
        own = slice(4 * i, 4 * i + 4)
        before, moved = (A @ X)[own], (A @ mixed)[own]
        sizes = np.linalg.norm(before), np.linalg.norm(moved)
        expected = {
            "difference": np.linalg.norm(before - moved),
            "cosine": before @ moved / (sizes[0] * sizes[1]),
            "l2": sizes[0],
            "l2_after": sizes[1],
        }
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name][i], value, rtol=1e-9, atol=1e-12, err_msg=f"{name} {i}"
            )
    assert found["difference"][0] == 0 and found["difference"][1] > 0.1


PLAIN = [name for name, q in QUANTITIES.items() if "norm" not in q.needs]
OF_PARAMETERS = tuple(
    name
    for name in PLAIN
    if "channel" not in QUANTITIES[name].axes and not name.startswith("hessian")
)


def test_member_by_member_the_unmapped_call():
    rng = np.random.default_rng(3)
    points, after = rng.normal(size=(2, 3, 12))
    mapped = quick(jax.vmap(partial(_measure, lr=LR, names=OF_PARAMETERS)))
    mapped = mapped(points, after)
    for i in range(3):
        for name, alone in measured(points[i], after[i]).items():
            for field, values in alone.items():
                np.testing.assert_allclose(
                    mapped[name][field][i], values, rtol=1e-9, atol=1e-12
                )


def test_shapes_are_those_of_the_axes():
    where = made.site(probe_etas=ETAS)
    for name, fields in measured().items():
        shape = tuple(len(where.labels(axis)) for axis in QUANTITIES[name].axes)
        assert {values.shape for values in fields.values()} == {shape}, name


def test_all_at_once_is_each_alone():
    """What they share, they share without changing it, whoever asks first."""

    @quick
    def both(x, following):
        alone = [
            _measure(x, following, LR, [name])[name] for name in reversed(OF_PARAMETERS)
        ]
        return _measure(x, following, LR, OF_PARAMETERS), alone[::-1]

    together, alone = both(X, X + 1)
    for name, fields in zip(OF_PARAMETERS, alone, strict=True):
        assert fields.keys() == together[name].keys()
        for field, values in fields.items():
            np.testing.assert_array_equal(together[name][field], values)


def test_nothing_is_defined_where_nothing_moves():
    found = measured(following=X, lr=0.0)
    assert np.isnan(found["effective_smoothness"]["beta"]).all()
    assert np.isnan(found["gradient_lipschitz"]["lipschitz"])


def gradients_in(function, *args) -> int:
    """How often the loss's matrix is applied, loops counted by their length."""

    def count(jaxpr) -> int:
        total = 0
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                total += equation.invars[1].aval.shape == (12, 12) or (
                    equation.invars[0].aval.shape == (12, 12)
                )
            times = equation.params.get("length", 1)
            subs = jax.tree.leaves(
                list(equation.params.values()),
                is_leaf=lambda x: isinstance(x, ClosedJaxpr),
            )
            for sub in subs:
                if isinstance(sub, ClosedJaxpr):
                    total += times * count(sub.jaxpr)
        return total

    return count(jax.make_jaxpr(function)(*args).jaxpr)


def test_three_quantities_along_the_gradient_share_their_trial_steps():
    """Four etas are four gradients beside the one at theta, not twelve."""
    names = ["loss_range", "gradient_predictiveness", "effective_smoothness"]

    def all_three(x):
        return measure(names, at(x))

    def gradient(x):
        return jax.value_and_grad(made.quadratic(A))(made.tree(x))

    assert gradients_in(gradient, X) > 0
    assert gradients_in(all_three, X) == 5 * gradients_in(gradient, X)
