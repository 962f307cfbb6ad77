"""The learning rate of a step: the optimizer's own schedule counts."""

import contextlib
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab.analysis.measure import measure_cell
from normlab.analysis.settings import AnalysisOptions
from normlab.run_options import RunOptions
from normlab.store.layout import CellPaths
from normlab.store.metrics import read_parts
from normlab.store.quantities import read_quantity
from normlab.sweep.execute import run_cell
from normlab.train.optimizers import OPTIMIZERS, Optimizer, make_optimizer, rate_at
from tests import tiny

LENGTH = 8


def scheduled(optimizer, inject=False):
    """An entry of `OPTIMIZERS`: its rate rises from 0 to lr, and falls again."""

    def make(lr, momentum, weight_decay):
        del momentum, weight_decay

        def schedule(count):
            return lr * share(count)

        if inject:
            return optax.inject_hyperparams(optimizer)(learning_rate=schedule)
        return optimizer(schedule)

    return Optimizer(make)


def share(count):
    """Of the peak rate, at an update."""
    return 1 - jnp.abs(count - LENGTH / 2) / (LENGTH / 2)


def chained(lr, momentum, weight_decay):
    decay = optax.add_decayed_weights(weight_decay)
    inner = optax.sgd(lr, momentum=momentum)
    return optax.chain(decay, inner, optax.scale_by_schedule(share))


OWN = {
    "sgd of a schedule": scheduled(optax.sgd),
    "adam of a schedule": scheduled(optax.adam),
    "adamw of a schedule": scheduled(optax.adamw),
    "a schedule in the state": scheduled(optax.sgd, inject=True),
    "a schedule behind it": Optimizer(chained),
}


@pytest.mark.faults
@pytest.mark.parametrize("name", OWN)
def test_the_rate_at_a_step_is_the_schedules(name):
    with mock.patch.dict(OPTIMIZERS, OWN):
        tx = make_optimizer(name)
        rates = jax.jit(jax.vmap(lambda lr, t: rate_at(tx, lr, t), (None, 0)))
        steps = jnp.arange(LENGTH + 1)
        found = rates(jnp.float32(0.3), steps)
    np.testing.assert_allclose(found, 0.3 * np.asarray(share(steps)), rtol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_a_schedule_it_is_the_members(name):
    lr = jnp.float32(0.3)
    assert rate_at(make_optimizer(name), lr, jnp.int32(7)) is lr


@pytest.mark.faults
def test_probes_move_at_the_rate_of_their_step(tmp_path):
    """While training and afterwards: eta times the rate times the gradient's norm."""
    config = {
        "optimizer": "own",
        "steps": LENGTH,
        "quantities": ("effective_smoothness",),
        "probe_every": 2,
        "path_every": 2,
        "probe_etas": (0.5, 2.0),
    }
    cell, paths = tiny.cell(**config), CellPaths(tmp_path)
    with mock.patch.dict(OPTIMIZERS, own=OWN["sgd of a schedule"]):
        run_cell(tiny.plan(cell), paths, RunOptions(), tiny.Silent())
        probed = read_quantity(paths, "effective_smoothness")
        options = AnalysisOptions(
            run=str(tmp_path), quantities=("effective_smoothness",), devices="1"
        )
        with contextlib.ExitStack() as stack:
            for patch in tiny.models():
                stack.enter_context(patch)
            measure_cell(paths, options, {}, lambda cell, step: None)
    metrics = read_parts(paths.metrics)
    assert probed is not None and metrics is not None
    norms = metrics.to_pandas().set_index(["member", "step"])["gradient_norm"]
    for found in (probed, read_quantity(paths, "effective_smoothness")):
        assert found is not None
        rows = found[found["step"] < LENGTH].join(norms, on=["member", "step"])
        lr = np.array([member.lr for member in cell.members])[rows["member"]]
        rate = lr * np.asarray(share(rows["step"].to_numpy()))
        assert len(rows) == 4 * 4 * 2 and (rate < lr).any() and (rate == lr).any()
        wanted = rows["eta"] * rate * rows["gradient_norm"]
        np.testing.assert_allclose(rows["distance"], wanted, rtol=1e-4, atol=1e-9)
