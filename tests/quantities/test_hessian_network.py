"""Hessians of a small network beside `jax.hessian`'s, for both statistics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from normlab.norms import make_norm
from tests import tiny

pytestmark = pytest.mark.slow
NAMES = ("hessian_top", "hessian_bottom", "hessian_trace", "hessian_density")
STATISTICS = ("batch", "running")
IMAGES, ITERATIONS, SAMPLES = 20, 60, 3
MEMBERS = 2
CONFIG = tiny.cell_config(
    norm="batch",
    quantities=NAMES,
    probe_images=IMAGES,
    probe_iterations=ITERATIONS,
    probe_samples=SAMPLES,
)
DATA = tiny.dataset()
ARRAYS = {"train_x": DATA.train_x, "train_y": DATA.train_y}


def states(program):
    """Members of two seeds, away from where they began."""
    hyperparameters = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    init = jax.vmap(lambda seed: program.init(seed, hyperparameters))
    state = jax.jit(init)(jnp.arange(MEMBERS, dtype=jnp.uint32))
    random = np.random.default_rng(0)

    def move(x):
        return x + jnp.asarray(0.3 * random.random(x.shape))  # float64, where it is on

    return dataclasses.replace(
        state,
        params=jax.tree.map(move, state.params),
        batch_stats=jax.tree.map(move, state.batch_stats),
    )


def dense(state):
    """statistics -> the Hessian (P, P), every entry of it, by another way."""
    norm = make_norm("batch", norm_momentum=0.5)
    model = tiny.TinyNet(norm=norm, initializers=tiny.QUICK, classes=3)
    images = DATA.train_x.astype(np.float64)
    x = ((images - images.mean()) / images.std())[:IMAGES]
    labels = DATA.train_y[:IMAGES].astype(int)
    flat, tree_of = ravel_pytree(state.params)

    def loss(vector, statistics):
        variables = {"params": tree_of(vector), "batch_stats": state.batch_stats}
        logits = model.apply(variables, jnp.asarray(x), statistics=statistics)
        assert isinstance(logits, jax.Array)
        logs = jax.nn.log_softmax(logits)
        return -logs[jnp.arange(IMAGES), labels].mean()

    return {
        statistics: jax.hessian(loss)(flat, statistics) for statistics in STATISTICS
    }


@pytest.fixture(scope="module")
def both():
    """(what was measured, all members at once; each member's dense Hessians)."""
    with jax.enable_x64(True):
        program = tiny.program(CONFIG, DATA)
        assert program.probe is not None
        probe = jax.jit(jax.vmap(program.probe.measure, in_axes=(0, 0, None)))
        members = states(program)
        # The batch of the step is not among the probe's images.
        batch = jnp.tile(jnp.arange(IMAGES, 24), (MEMBERS, 1))
        found = jax.device_get(probe(members, batch, ARRAYS))
        matrices = jax.device_get(jax.jit(jax.vmap(dense))(members))
        return found, matrices


def test_the_dense_ones_are_of_every_parameter_and_differ(both):
    _, matrices = both
    for member in range(MEMBERS):
        batch, running = (matrices[statistics][member] for statistics in STATISTICS)
        assert batch.shape == (159, 159)
        np.testing.assert_allclose(batch, batch.T, atol=1e-12)
        apart = np.linalg.norm(batch - running)
        assert apart > 0.1 * np.linalg.norm(batch)
        tops = np.linalg.eigvalsh(batch)[-1], np.linalg.eigvalsh(running)[-1]
        assert abs(tops[0] / tops[1] - 1) > 0.01  # a hundred times what is asked below


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("member", range(MEMBERS))
def test_three_eigenvalues_at_each_end(statistics, member, both):
    found, matrices = both
    values = np.linalg.eigvalsh(matrices[statistics][member])
    assert values[2] < 0 < values[-3]
    k = STATISTICS.index(statistics)
    top, bottom = found["hessian_top"], found["hessian_bottom"]
    np.testing.assert_allclose(top["eigenvalue"][member, k], values[:-4:-1], rtol=1e-4)
    np.testing.assert_allclose(bottom["eigenvalue"][member, k], values[:3], rtol=1e-4)
    for end in (top, bottom):
        assert (end["residual"][member, k] < 1e-3 * abs(values).max()).all()


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("member", range(MEMBERS))
def test_trace_and_density_are_of_the_same_matrix(statistics, member, both):
    found, matrices = both
    k = STATISTICS.index(statistics)
    trace, density = found["hessian_trace"], found["hessian_density"]
    value, weight = (density[name][member, k] for name in ("value", "weight"))
    means = (weight * value).sum(-1)
    np.testing.assert_allclose(159 * means.mean(), trace["trace"][member, k], rtol=1e-6)
    # Sixty of 159 nodes know the ends.
    values = np.linalg.eigvalsh(matrices[statistics][member])
    np.testing.assert_allclose(value[:, -1], values[-1], rtol=1e-6)
    np.testing.assert_allclose(value[:, 0], values[0], rtol=1e-4)
    # Of signs, <v, H v> has the variance of the entries beside the diagonal, twice.
    off = matrices[statistics][member] - np.diag(np.diag(matrices[statistics][member]))
    error = np.sqrt(2 * (off**2).sum() / SAMPLES)
    wrong = trace["trace"][member, k] - np.trace(matrices[statistics][member])
    assert abs(wrong) < 4 * error


def test_a_member_alone_in_float32(both):
    """As training measures: the same, beside other members or not."""
    found, _ = both
    config = dataclasses.replace(CONFIG, quantities=("hessian_top", "hessian_bottom"))
    program = tiny.program(config, DATA)
    assert program.probe is not None
    probe, members = jax.jit(program.probe.measure), states(program)
    for i in range(MEMBERS):
        state = jax.tree.map(lambda x, i=i: x[i], members)
        alone = probe(state, jnp.arange(5), ARRAYS)
        for name in config.quantities:
            values = alone[name]["eigenvalue"]
            assert values.dtype == jnp.float32
            expected = found[name]["eigenvalue"][i]
            np.testing.assert_allclose(values, expected, rtol=1e-4)
