"""Hessians of a quadratic, whose matrix is known."""

import dataclasses
import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.quantities import QUANTITIES, check, hessian, measure
from normlab.quantities.measures.hessian_density import density_curve
from tests.quantities import made
from tests.quick import quick

A = made.matrix()
VALUES = np.linalg.eigvalsh(A)
X = np.random.default_rng(1).normal(size=12)
NAMES = [name for name in QUANTITIES if name.startswith("hessian")]
# More iterations than there are parameters: three nodes are not there.
ITERATIONS, SAMPLES = 15, 5


@pytest.fixture(autouse=True)
def _exact(x64):
    """All of this in float64."""


def point_of(matrix, key, *, iterations=ITERATIONS, samples=SAMPLES, running=True):
    """The quadratic of ``matrix``, and of -2 ``matrix`` under running averages.

    The loss on the step's batch is another.
    """
    site = made.site(probe_iterations=iterations, probe_samples=samples)
    point = made.point(made.quadratic(3 * matrix), X)
    both = {"running": made.quadratic(-2 * matrix), "batch": made.quadratic(matrix)}
    fixed = {
        name: lambda leaves, loss=loss: loss(made.tree(jnp.concatenate(leaves)))
        for name, loss in both.items()
    }
    statistics = ("batch", "running") if running else ("batch",)
    site = dataclasses.replace(site, statistics=statistics)
    return dataclasses.replace(point, site=site, fixed=fixed, key=key)


def measured(matrix, key, **settings):
    return measure(NAMES, point_of(matrix, key, **settings))


@functools.cache
def program(**settings):
    return quick(functools.partial(measured, **settings))


def found(matrix=A, seed: int = 0, **settings):
    return jax.device_get(
        program(**settings)(jnp.asarray(matrix), jax.random.key(seed))
    )


def test_there_are_four():
    assert len(NAMES) == 4


def test_three_eigenvalues_at_each_end():
    top, bottom = found()["hessian_top"], found()["hessian_bottom"]
    assert top["eigenvalue"].shape == (2, 3)
    np.testing.assert_allclose(top["eigenvalue"][0], VALUES[:-4:-1], rtol=1e-8)
    np.testing.assert_allclose(bottom["eigenvalue"][0], VALUES[:3], rtol=1e-8)
    for end in (top, bottom):
        np.testing.assert_allclose(end["residual"], 0, atol=1e-8)


@pytest.mark.slow
def test_few_iterations_say_that_they_were_few():
    top = found(iterations=4, samples=3)["hessian_top"]
    assert abs(top["eigenvalue"][0, 0] - VALUES[-1]) > 1e-3
    assert (top["residual"] > 1e-2).all()


def test_the_start_depends_on_the_key():
    one, other = (found(seed=s, iterations=4, samples=3) for s in (0, 1))
    for name in NAMES:
        for field, values in one[name].items():
            assert not np.allclose(values, other[name][field], rtol=1e-3), name


def test_the_error_of_the_trace_is_as_large_as_it_says():
    """Over many keys it has, in units of the standard error, mean 0 and variance 1."""

    def one(key):
        trace = measure(["hessian_trace"], point_of(jnp.asarray(A), key, samples=40))
        return {name: x[0] for name, x in trace["hessian_trace"].items()}

    keys = jax.random.split(jax.random.key(7), 1000)
    trace = jax.device_get(quick(jax.vmap(one))(keys))
    z = (trace["trace"] - np.trace(A)) / trace["stderr"]
    assert (abs(z[:5]) < 3).all() and (abs(z) < 3).mean() > 0.99
    assert abs(z.mean()) < 0.1 and 0.85 < z.var() < 1.2
    # Of signs, <v, A v> has twice the squares beside the diagonal as its variance.
    variance = 2 * ((A**2).sum() - (np.diag(A) ** 2).sum())
    np.testing.assert_allclose((trace["stderr"] ** 2).mean() * 40, variance, rtol=0.05)


def test_signs_know_the_trace_of_a_diagonal_matrix():
    trace = found(np.diag(VALUES))["hessian_trace"]
    expected = [VALUES.sum(), -2 * VALUES.sum()]
    np.testing.assert_allclose(trace["trace"], expected, rtol=1e-10)
    np.testing.assert_allclose(trace["stderr"], 0, atol=1e-10)


def test_the_quadrature_knows_the_first_moments():
    """k nodes are exact for 2 k moments; of a diagonal matrix signs know them all."""
    density = found(np.diag(VALUES), iterations=4, samples=3)["hessian_density"]
    value, weight = density["value"][0], density["weight"][0]
    assert value.shape == weight.shape == (3, 4)
    for power in range(8):
        moments = (weight * value**power).sum(-1)
        np.testing.assert_allclose(moments, np.mean(VALUES**power), rtol=1e-8)
    beyond = (weight * value**8).sum(-1)
    assert (abs(beyond / np.mean(VALUES**8) - 1) > 1e-3).all()


def test_the_mean_of_the_density_is_the_trace_estimate():
    """The vectors are the same, so it is exact, and not within an error alone."""
    density, trace = found()["hessian_density"], found()["hessian_trace"]
    means = np.nansum(density["weight"] * density["value"], -1)[0]
    np.testing.assert_allclose(means.mean() * 12, trace["trace"][0], rtol=1e-9)
    spread = 12 * means.std(ddof=1) / np.sqrt(SAMPLES)
    np.testing.assert_allclose(spread, trace["stderr"][0], rtol=1e-9)
    assert spread > 0.1  # the samples differ


def test_the_curve_is_a_density():
    density, trace = found()["hessian_density"], found()["hessian_trace"]
    value, weight = density["value"][0], density["weight"][0]
    assert np.isnan(value[:, 12:]).all() and np.isfinite(value[:, :12]).all()
    grid = np.linspace(-12, 12, 4001)
    curve = density_curve(value, weight, grid, 0.3)
    np.testing.assert_allclose(np.trapezoid(curve, grid), 1, rtol=1e-9)
    mean = np.trapezoid(curve * grid, grid)
    np.testing.assert_allclose(mean, trace["trace"][0] / 12, rtol=1e-8)
    assert np.isnan(density_curve(value, weight * np.nan, grid, 0.3)).all()


def test_the_curve_of_one_node_is_a_gaussian():
    one = np.array([1.0])
    curve = density_curve(one, one, np.array([1.0, 1.3]), 0.3)
    np.testing.assert_allclose(curve, np.exp([0, -0.5]) / (0.3 * np.sqrt(2 * np.pi)))


def test_member_by_member_the_unmapped_call():
    """Members differ in their matrix and in their key."""
    matrices = jnp.asarray([made.matrix(seed) for seed in range(3)])
    keys = jax.random.split(jax.random.key(5), 3)
    mapped = quick(jax.vmap(measured))(matrices, keys)
    for i in range(3):
        alone = program()(matrices[i], keys[i])
        for name, fields in alone.items():
            for field, values in fields.items():
                np.testing.assert_allclose(
                    mapped[name][field][i],
                    values,
                    rtol=1e-6,
                    atol=1e-8,
                    err_msg=f"{name} {field}",
                )


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("iterations", [2, 20])
def test_shapes_are_those_of_the_axes(running, iterations):
    point = point_of(A, jax.random.key(0), iterations=iterations, running=running)
    shapes = jax.eval_shape(lambda: measure(NAMES, point))
    for name, fields in shapes.items():
        shape = tuple(len(point.site.labels(axis)) for axis in QUANTITIES[name].axes)
        assert {x.shape for x in fields.values()} == {shape}, name


def test_kinds_of_statistics_are_in_the_order_of_their_labels():
    all_ = found()
    site = point_of(A, jax.random.key(0)).site
    assert site.labels("statistics") == ("batch", "running")
    top, bottom = all_["hessian_top"], all_["hessian_bottom"]
    np.testing.assert_allclose(top["eigenvalue"][0], VALUES[:-4:-1], rtol=1e-8)
    np.testing.assert_allclose(top["eigenvalue"][1], -2 * VALUES[:3], rtol=1e-8)
    np.testing.assert_allclose(bottom["eigenvalue"][1], -2 * VALUES[:-4:-1], rtol=1e-8)
    batch, running = all_["hessian_trace"]["trace"]  # of the same vectors
    np.testing.assert_allclose(running, -2 * batch, rtol=1e-9)
    batch, running = all_["hessian_density"]["value"][..., :12]
    np.testing.assert_allclose(running, -2 * batch[:, ::-1], rtol=1e-6, atol=1e-8)


def test_both_ends_are_of_one_decomposition(monkeypatch):
    calls = []

    def counting(*args):
        calls.append(args)
        return hessian.ritz_of(*args)

    monkeypatch.setattr("normlab.quantities.point.ritz_of", counting)
    point = point_of(A, jax.random.key(0), running=False)
    jax.eval_shape(lambda: measure(["hessian_top", "hessian_bottom"], point))
    assert len(calls) == 1


def test_without_matfree_planning_ends_in_one_line(monkeypatch):
    check(NAMES, made.site())  # the tests have it
    monkeypatch.setitem(sys.modules, "matfree", None)  # Python's sign for none
    for name in ("hessian_top", "hessian_bottom", "hessian_density"):
        with pytest.raises(UserError) as caught:
            check(["gradient_norm", name], made.site())
        message = str(caught.value)
        assert message.startswith(name) and "\n" not in message
        assert "pip install 'normlab[curvature]'" in message
    check(["gradient_norm", "hessian_trace"], made.site())
