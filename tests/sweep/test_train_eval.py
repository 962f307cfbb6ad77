"""Which training images a sweep is evaluated on."""

import jax
import numpy as np
import pytest

from normlab.cell import Cell
from normlab.data.batches import current_order
from normlab.sweep.population import Population
from normlab.train.program import Program, data_arrays, to_device
from tests import tiny

STEPS, SEEN = 7, 6  # of 5 images of 24: in the second epoch


def evaluated(**changes) -> tuple[dict, dict, Population, Cell, Program]:
    """Metrics after `STEPS` steps, the arrays they are of, and who has them."""
    cell = tiny.cell(train_eval_size=SEEN, **changes)
    data = tiny.dataset()
    arrays = data_arrays(data)
    program = tiny.program(cell.config, data)
    population = Population(
        program,
        cell,
        to_device(arrays),
        execution="vmap",
        member_chunk=4,
        call_steps=6,
    )
    population.start()
    population.train(0, 6)
    population.train(6, STEPS - 6)
    return population.evaluate(STEPS), arrays, population, cell, program


@pytest.mark.parametrize("train_eval", ["fixed", "current"])
def test_train_metrics_are_of_the_first_images_of_their_order(train_eval):
    found, arrays, population, cell, program = evaluated(train_eval=train_eval)
    evaluate = jax.jit(program.evaluate)
    for i, member in enumerate(cell.members):
        rows = np.arange(SEEN)
        if train_eval == "current":
            rows = current_order(member.seed, STEPS, 5, 24)[:SEEN]
            assert (rows != current_order(member.seed, 4, 5, 24)[:SEEN]).any()
        state = jax.tree.map(lambda leaf, i=i: leaf[i], population.state())
        expected = evaluate(state, rows, arrays)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-5)


def test_the_two_differ_in_training_metrics_alone():
    fixed, *_ = evaluated(train_eval="fixed")
    current, *_ = evaluated(train_eval="current")
    assert (fixed["train_loss"] != current["train_loss"]).all()
    np.testing.assert_array_equal(fixed["test_loss"], current["test_loss"])
