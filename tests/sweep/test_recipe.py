"""The sweep laws and a resumed cell, with everything that training can have."""

import itertools

import numpy as np
import pandas as pd
import pytest

from normlab.cell import Cell, Member
from normlab.run_options import RunOptions
from normlab.settings.devices import EXECUTIONS
from normlab.store.checkpoints import load_newest
from normlab.store.layout import CellPaths
from normlab.sweep.execute import run_cell
from normlab.sweep.population import Population
from tests import tiny
from tests.sweep.stopped import Interrupted, StopAfter, frame_of
from tests.sweep.test_laws import close, run, same_bits, take

MEMBERS = tuple(
    Member(seed, 0.05, 0.5, 0.1, warmup=warmup, decay_to=0.2, clip_norm=clip)
    for seed, (warmup, clip) in itertools.product((0, 1), ((0, 0.0), (5, 1.0)))
)
SETTINGS = {
    "optimizer": "momentum",
    "schedule": "cosine",
    "label_smoothing": 0.1,
    "decay_mask": "kernels",
    "batch_size": 6,
    "accumulate": 2,
}
CELL = Cell(tiny.cell_config(**SETTINGS), MEMBERS)


@pytest.mark.slow
def test_executions_chunks_and_cuts_agree():
    whole = run(CELL)
    for execution in EXECUTIONS[1:]:
        close(run(CELL, execution), whole)
    close(run(CELL, member_chunk=3), whole)
    same_bits(run(CELL, cuts=(1, 6, 5)), whole)


def test_members_have_their_own_warm_up_and_clip():
    rates = run(CELL).metrics["lr_step"]
    np.testing.assert_allclose(rates[0], rates[2])
    np.testing.assert_allclose(rates[1], rates[3])
    np.testing.assert_allclose(rates[1, :6], 0.05 * np.arange(6) / 5, rtol=1e-6)
    assert rates[0, 0] == np.float32(0.05) and np.all(np.diff(rates[0]) < 0)


@pytest.mark.parametrize("i", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_member_equals_the_same_point_run_alone(i):
    """Alone, member 0 has neither warm-up nor clipping in its program."""
    alone = Cell(CELL.config, MEMBERS[i : i + 1])
    assert len(alone.hyperparameters) == [4, 6][i]
    one, together = run(alone), take(run(CELL), i)
    close(take(one.end.params, 0), together.end.params)
    close(take(one.metrics, 0), together.metrics)


def test_a_resumed_cell_ends_in_the_same_bits(tmp_path):
    options = RunOptions(checkpoint_seconds=0.0, call_steps=4)
    plan = tiny.plan(CELL)
    whole, cut = CellPaths(tmp_path / "whole"), CellPaths(tmp_path / "cut")
    run_cell(plan, whole, options, tiny.Silent())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("normlab.sweep.execute._CHECKPOINT_SHARE", float("inf"))
        with pytest.raises(Interrupted):
            run_cell(plan, cut, options, StopAfter(3))
    run_cell(plan, cut, options, tiny.Silent())
    pd.testing.assert_frame_equal(frame_of(cut), frame_of(whole), check_exact=True)
    like = Population(
        plan.program, CELL, {}, execution="vmap", member_chunk=4, call_steps=4
    ).shapes()
    states = [load_newest(paths.checkpoints, like) for paths in (cut, whole)]
    assert states[0] is not None and states[0][0] == 12
    same_bits(*states)
