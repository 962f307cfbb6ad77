"""Schedules against optax's own, and what probes and metrics see of them."""

import contextlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab.analysis.measure import measure_cell
from normlab.analysis.settings import AnalysisOptions
from normlab.cell import Cell, Member
from normlab.errors import UserError
from normlab.members.progress import CountProgress
from normlab.run_options import RunOptions
from normlab.store.layout import CellPaths
from normlab.store.metrics import read_parts
from normlab.store.quantities import read_quantity
from normlab.sweep.execute import run_cell
from normlab.train.schedules import SCHEDULES, make_rate
from tests import tiny

STEPS = 20
# (lr, warmup, decay_to) of members.
MEMBERS = [(0.3, 0, 0.0), (0.3, 4, 0.1), (0.02, 7, 0.5), (1.0, 19, 0.0), (0.0, 4, 0.1)]


def theirs(name, lr, warmup, decay_to):
    """What a user of optax would write."""
    if name == "constant":
        main = optax.constant_schedule(lr)
    elif name == "linear":
        main = optax.linear_schedule(lr, decay_to * lr, STEPS - warmup)
    elif warmup and lr:
        return optax.warmup_cosine_decay_schedule(
            0.0, lr, warmup, STEPS, end_value=decay_to * lr
        )
    else:
        main = optax.cosine_decay_schedule(lr, STEPS - warmup, alpha=decay_to)
    if not warmup:
        return main
    return optax.join_schedules(
        [optax.linear_schedule(0.0, lr, warmup), main], [warmup]
    )


def by_hand(name, lr, warmup, decay_to, t):
    if t < warmup:
        return lr * t / warmup
    done = (t - warmup) / (STEPS - warmup)
    share = {
        "constant": 1.0,
        "linear": 1 - done * (1 - decay_to),
        "cosine": decay_to + (1 - decay_to) * (1 + math.cos(math.pi * done)) / 2,
    }
    return lr * share[name]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_step_of_every_member_has_optaxs_rate(name):
    """All members in one program, and all steps, also the one after the last."""
    lr, warmup, decay_to = (np.array(values) for values in zip(*MEMBERS, strict=True))
    values: Any = {
        "lr": lr.astype(np.float32),
        "warmup": warmup.astype(np.int32),
        "decay_to": decay_to.astype(np.float32),
    }
    rate = make_rate(name, STEPS)
    steps: Any = np.arange(STEPS + 1)
    of_steps = jax.vmap(rate, (None, 0))
    found = np.asarray(jax.jit(jax.vmap(of_steps, (0, None)))(values, steps))
    assert found.dtype == np.float32
    close: Any = {"rtol": 1e-5, "atol": 1e-7}
    for i, member in enumerate(MEMBERS):
        schedule: Any = theirs(name, *member)
        wanted = [float(schedule(int(t))) for t in steps]
        np.testing.assert_allclose(found[i], wanted, **close)
        mine = [by_hand(name, *member, t) for t in steps]
        np.testing.assert_allclose(found[i], mine, **close)
        # A step too early or too late would be seen.
        if name != "constant" and member[0]:
            assert np.abs(np.diff(mine)).max() > 1e-3
            assert not np.allclose(found[i][1:], mine[:-1], **close)
    # The members' axis may also lead, as for a stored path.
    at_5 = rate(values, jnp.full(len(MEMBERS), 5))
    np.testing.assert_allclose(at_5, found[:, 5], rtol=1e-6)


def test_steps_that_float32_cannot_count_are_told_apart():
    values = {"lr": jnp.float32(1.0), "warmup": jnp.int32(10**8 - 4)}
    rate = jax.jit(make_rate("linear", 10**8))
    found = [float(rate(values, jnp.int32(10**8 - k))) for k in (4, 3, 2, 1, 0)]
    np.testing.assert_allclose(found, [1, 0.75, 0.5, 0.25, 0], atol=1e-6)


def test_without_a_schedule_it_is_the_members():
    lr = jnp.float32(0.3)
    assert make_rate("constant", STEPS)({"lr": lr}, jnp.int32(7)) is lr


def test_an_unknown_one_lists_the_known():
    with pytest.raises(
        UserError, match="--schedule=step: unknown; known: constant, cosine, linear"
    ):
        make_rate("step", STEPS)


def members(*values):
    """Of seed 0, each (lr, warmup, decay_to)."""
    return tuple(
        Member(0, lr, 0.0, 0.0, warmup=warmup, decay_to=decay_to)
        for lr, warmup, decay_to in values
    )


def test_the_state_keeps_only_what_members_set():
    plain = ("lr", "momentum", "weight_decay")
    assert tiny.cell(members((0.1, 0, 0.0))).hyperparameters == plain
    two = tiny.cell(members((0.1, 0, 0.0), (0.1, 3, 0.0)))
    assert two.hyperparameters == (*plain, "warmup")


@pytest.mark.faults
def test_probes_and_metrics_have_the_rate_of_their_step(tmp_path):
    """While training and afterwards: eta times the rate times the gradient's norm."""
    config = {
        "schedule": "linear",
        "steps": 8,
        "quantities": ("effective_smoothness",),
        "probe_every": 2,
        "path_every": 2,
        "probe_etas": (0.5, 2.0),
    }
    own = members((0.1, 0, 0.25), (0.2, 4, 0.0))
    cell, paths = Cell(tiny.cell_config(**config), own), CellPaths(tmp_path)
    run_cell(tiny.plan(cell), paths, RunOptions(), tiny.Silent())
    shares = np.array(
        [1 - 0.75 * np.arange(9) / 8, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]]
    )
    rates = shares * np.array([[0.1], [0.2]])
    table = read_parts(paths.metrics)
    assert table is not None
    metrics = table.to_pandas().set_index(["member", "step"])
    np.testing.assert_allclose(
        metrics["lr_step"].unstack().to_numpy()[:, :8], rates[:, :8], rtol=1e-6
    )
    probed = read_quantity(paths, "effective_smoothness")
    options = AnalysisOptions(
        run=str(tmp_path), quantities=("effective_smoothness",), devices="1"
    )
    with contextlib.ExitStack() as stack:
        for patch in tiny.models():
            stack.enter_context(patch)
        measure_cell(paths, options, {}, CountProgress)
    for found in (probed, read_quantity(paths, "effective_smoothness")):
        assert found is not None
        rows = found[found["step"] < 8].join(
            metrics["gradient_norm"], on=["member", "step"]
        )
        rate = rates[rows["member"], rows["step"]]
        assert len(rows) == 2 * 4 * 2 and (rate == 0).any()
        wanted = rows["eta"] * rate * rows["gradient_norm"]
        np.testing.assert_allclose(rows["distance"], wanted, rtol=1e-4, atol=1e-9)
