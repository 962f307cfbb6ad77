"""Hessians of a quadratic, whose matrix is known."""

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.quantities import (
    QUANTITIES,
    check,
    hessian_bottom,
    hessian_density,
    hessian_top,
    hessian_trace,
    measure,
)
from normlab.quantities.hessian_density import density_curve
from tests.quantities import made

A = made.matrix()
VALUES = np.linalg.eigvalsh(A)
X = np.random.default_rng(1).normal(size=12)
NAMES = [name for name in QUANTITIES if name.startswith("hessian")]


def at(values=X, matrix=A, seed: int = 0, **settings):
    """The quadratic of ``matrix``; its loss on the step's batch is another."""
    where = made.site(**{"probe_iterations": 12, "probe_samples": 5} | settings)
    here = made.here(made.quadratic(3 * matrix), values, where=where)
    fixed = {"batch": made.quadratic(matrix)}
    return dataclasses.replace(here, fixed=fixed, key=jax.random.key(seed))


@pytest.fixture(autouse=True)
def _exact(x64):
    """All of this in float64."""


def test_there_are_four():
    assert len(NAMES) == 4


def test_three_eigenvalues_at_each_end():
    top, bottom = hessian_top.measure(at()), hessian_bottom.measure(at())
    assert top["eigenvalue"].shape == (1, 3)
    np.testing.assert_allclose(top["eigenvalue"][0], VALUES[:-4:-1], rtol=1e-8)
    np.testing.assert_allclose(bottom["eigenvalue"][0], VALUES[:3], rtol=1e-8)
    for found in (top, bottom):
        np.testing.assert_allclose(found["residual"], 0, atol=1e-8)


def test_few_iterations_say_that_they_were_few():
    found = hessian_top.measure(at(probe_iterations=4))
    error = abs(found["eigenvalue"][0] - VALUES[:-4:-1])
    assert error[0] > 1e-3 and (found["residual"] > 1e-2).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_trace_is_within_its_error(seed):
    found = hessian_trace.measure(at(seed=seed, probe_samples=30))
    assert abs(found["trace"][0] - np.trace(A)) < 3 * found["stderr"][0]
    assert 0 < found["stderr"][0] < 5


def test_the_error_is_as_large_as_it_says():
    """Over many keys the error, in standard errors, has variance 1."""

    def one(key):
        here = dataclasses.replace(at(probe_samples=40), key=key)
        found = hessian_trace.measure(here)
        return (found["trace"][0] - np.trace(A)) / found["stderr"][0]

    z = np.asarray(jax.vmap(one)(jax.random.split(jax.random.key(7), 1000)))
    assert abs(z.mean()) < 0.15
    assert 0.85 < z.var() < 1.2


def test_signs_know_the_trace_of_a_diagonal_matrix():
    found = hessian_trace.measure(at(matrix=np.diag(VALUES)))
    np.testing.assert_allclose(found["trace"], VALUES.sum(), rtol=1e-10)
    np.testing.assert_allclose(found["stderr"], 0, atol=1e-10)


def test_the_quadrature_knows_the_first_moments():
    """k nodes are exact for 2 k moments; of a diagonal matrix signs know them all."""
    found = hessian_density.measure(
        at(matrix=np.diag(VALUES), probe_iterations=4, probe_samples=3)
    )
    value, weight = found["value"][0], found["weight"][0]
    assert value.shape == weight.shape == (3, 4)
    for power in range(8):
        moments = (weight * value**power).sum(-1)
        np.testing.assert_allclose(moments, np.mean(VALUES**power), rtol=1e-8)
    beyond = (weight * value**8).sum(-1)
    assert (abs(beyond / np.mean(VALUES**8) - 1) > 1e-3).all()


def test_the_mean_of_the_density_is_the_trace_estimate():
    """The vectors are the same, so it is exact, and not within an error alone."""
    density, trace = hessian_density.measure(at()), hessian_trace.measure(at())
    means = (density["weight"] * density["value"]).sum(-1)[0]
    np.testing.assert_allclose(means.mean() * 12, trace["trace"][0], rtol=1e-9)
    spread = 12 * means.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(spread, trace["stderr"][0], rtol=1e-9)
    assert spread > 0.1  # the samples differ


def test_the_curve_is_a_density():
    found = hessian_density.measure(at(probe_iterations=15))  # three nodes are not there
    value, weight = (np.asarray(found[name][0]) for name in ("value", "weight"))
    assert np.isnan(value[:, 12:]).all()
    grid = np.linspace(-12, 12, 4001)
    curve = density_curve(value, weight, grid, 0.3)
    np.testing.assert_allclose(np.trapezoid(curve, grid), 1, rtol=1e-9)
    mean = hessian_trace.measure(at())["trace"][0] / 12
    np.testing.assert_allclose(np.trapezoid(curve * grid, grid), mean, rtol=1e-8)
    # Of one node it is the Gaussian itself.
    curve = density_curve(np.array([1.0]), np.array([1.0]), np.array([1.0, 1.3]), 0.3)
    np.testing.assert_allclose(curve, np.exp([0, -0.5]) / (0.3 * np.sqrt(2 * np.pi)))
    assert np.isnan(density_curve(value, weight * np.nan, grid, 0.3)).all()


@pytest.mark.parametrize("name", NAMES)
def test_member_by_member_the_unmapped_call(name):
    """Members differ in their matrix and in their key."""
    matrices = np.stack([made.matrix(seed) for seed in range(3)])
    keys = jax.random.split(jax.random.key(5), 3)

    def one(matrix, key):
        return measure([name], dataclasses.replace(at(matrix=matrix), key=key))[name]

    mapped = jax.vmap(one)(jnp.asarray(matrices), keys)
    for i in range(3):
        alone = one(matrices[i], keys[i])
        for field, values in alone.items():
            np.testing.assert_allclose(
                mapped[field][i], values, rtol=1e-6, atol=1e-8, err_msg=field
            )


def test_shapes_are_those_of_the_axes():
    where = made.site(probe_samples=2, probe_iterations=2)  # fewer than three
    both = dataclasses.replace(where, running=True)
    fixed = {"batch": made.quadratic(A), "running": made.quadratic(-2 * A)}
    for site in (where, both):
        here = made.here(made.quadratic(A), X, where=site)
        here = dataclasses.replace(here, fixed={k: fixed[k] for k in site.statistics})
        for name, fields in measure(NAMES, here).items():
            shape = tuple(len(site.labels(axis)) for axis in QUANTITIES[name].axes)
            assert {values.shape for values in fields.values()} == {shape}, name


def test_kinds_of_statistics_are_in_the_order_of_their_labels():
    site = dataclasses.replace(made.site(probe_iterations=12), running=True)
    fixed = {"running": made.quadratic(-2 * A), "batch": made.quadratic(A)}
    here = dataclasses.replace(at(), site=site, fixed=fixed)
    found = measure(NAMES, here)
    assert site.labels("statistics") == ("batch", "running")
    top, bottom = found["hessian_top"], found["hessian_bottom"]
    np.testing.assert_allclose(top["eigenvalue"][0], VALUES[:-4:-1], rtol=1e-8)
    np.testing.assert_allclose(top["eigenvalue"][1], -2 * VALUES[:3], rtol=1e-8)
    np.testing.assert_allclose(bottom["eigenvalue"][1], -2 * VALUES[:-4:-1], rtol=1e-8)
    batch, running = found["hessian_trace"]["trace"]  # of the same vectors
    np.testing.assert_allclose(running, -2 * batch, rtol=1e-9)
    batch, running = found["hessian_density"]["value"]
    np.testing.assert_allclose(running, -2 * batch[:, ::-1], rtol=1e-6, atol=1e-8)


def test_both_ends_are_of_one_decomposition():
    def eigh(names) -> int:
        program = jax.make_jaxpr(lambda x: measure(names, at(x)))(X)
        return str(program).count("= eigh")

    assert eigh(["hessian_top"]) == eigh(["hessian_top", "hessian_bottom"]) == 1
    assert eigh(["hessian_top", "hessian_density"]) == 2


def test_the_start_depends_on_the_key():
    few = {"probe_iterations": 3}
    one, same, other = (hessian_top.measure(at(seed=s, **few)) for s in (0, 0, 1))
    np.testing.assert_array_equal(one["eigenvalue"], same["eigenvalue"])
    assert not np.allclose(one["eigenvalue"], other["eigenvalue"], rtol=1e-3)


def test_without_matfree_planning_ends_in_one_line(monkeypatch):
    find = importlib.util.find_spec
    check(NAMES, made.site())  # the tests have it
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matfree" else find(name)
    )
    for name in ("hessian_top", "hessian_bottom", "hessian_density"):
        with pytest.raises(UserError) as caught:
            check(["gradient_norm", name], made.site())
        message = str(caught.value)
        assert message.startswith(name) and "\n" not in message
        assert "pip install 'normlab[curvature]'" in message
    check(["gradient_norm", "hessian_trace"], made.site())
