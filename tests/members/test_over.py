"""One function over all members: traced once, whatever the members and the calls."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.members.over import OverMembers
from normlab.run_options import RunOptions
from normlab.settings.devices import EXECUTIONS
from normlab.store.layout import CellPaths
from normlab.sweep.execute import run_cell
from normlab.sweep.population import Population
from normlab.train import program
from normlab.train.program import data_arrays, to_device
from tests import tiny


@pytest.fixture
def traces(monkeypatch):
    """Grows by one at every call of a step's Python function, so at every trace."""
    found = []
    make_step = program.make_step

    def counted(*args, **kwargs):
        step = make_step(*args, **kwargs)

        def wrapped(state, batch):
            found.append(jax.tree.leaves(state.params)[0].shape)
            return step(state, batch)

        return wrapped

    monkeypatch.setattr(program, "make_step", counted)
    return found


@pytest.mark.parametrize("execution, member_chunk", [("map", 4), ("loop", 2)])
def test_a_cell_traces_its_step_once(execution, member_chunk, traces):
    data = tiny.dataset()
    cell = tiny.cell(tiny.members(lrs=(0.1, 0.2, 0.3), seeds=(0, 1), weight_decay=0.1))
    population = Population(
        tiny.program(cell.config, data),
        cell,
        to_device(data_arrays(data)),
        execution=execution,
        member_chunk=member_chunk,
        call_steps=4,
    )
    assert traces == []
    population.start()
    for step, count in ((0, 1), (1, 4), (5, 2)):
        population.train(step, count)
    population.restore(population.state())
    population.train(7, 3)
    assert len(traces) == 1


def test_running_a_cell_traces_its_step_once(traces, tmp_path):
    cell = tiny.cell(path_every=4)
    plan = tiny.plan(cell, member_chunk=3)
    run_cell(plan, CellPaths(tmp_path), RunOptions(call_steps=5), tiny.Silent())
    assert len(traces) == 1


def test_a_call_never_compiles_again():
    """Other shapes are refused, where `jax.jit` alone would silently compile."""
    double = OverMembers(lambda x: 2 * x, (True,), "vmap")
    assert double.compile_seconds == 0
    double(jnp.arange(3.0))
    spent = double.compile_seconds
    assert spent > 0
    np.testing.assert_array_equal(double(jnp.ones(3)), 2)
    assert double.compile_seconds == spent
    with pytest.raises(TypeError, match="compiled"):
        double(jnp.arange(4.0))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_mapped_and_shared_arguments(execution):
    def function(tree, shared, x):
        return {"sum": tree["a"] * shared + x.sum(), "a": tree["a"]}

    over = OverMembers(function, (True, False, True), execution)
    a, x = jnp.arange(3.0), jnp.arange(6.0).reshape(3, 2)
    found = over({"a": a}, jnp.float32(10.0), x)
    np.testing.assert_array_equal(found["sum"], [1.0, 15.0, 29.0])
    np.testing.assert_array_equal(found["a"], a)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_donation_is_safe_and_silent(execution):
    """Donated or not, the same numbers; what was not donated can be used again."""
    shared, start = jnp.arange(4.0), np.arange(8.0, dtype="float32").reshape(2, 4)

    def function(state, shared):
        return state + shared, state.sum()

    over = OverMembers(function, (True, False), execution, donate=(0,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = jnp.asarray(start)
        for _ in range(3):
            given = state
            state, _ = over(state, shared)
            if execution != "loop":
                assert given.is_deleted()
    np.testing.assert_array_equal(state, start + 3 * np.arange(4.0))
    np.testing.assert_array_equal(shared, np.arange(4.0))


@pytest.mark.parametrize("members", [3, 6])
def test_blocks_of_members_have_an_axis_only_if_there_are_several(members):
    """On a GPU, an axis of length 1 cost 30% of a step (docs/speed.md)."""
    over = OverMembers(lambda x: x * x.mean(0, keepdims=True), (True,), "vmap", block=3)
    x = jnp.arange(4.0 * members).reshape(members, 4)
    found = over(x)
    blocks = x.reshape(-1, 3, 4)
    expected = (blocks * blocks.mean(1, keepdims=True)).reshape(x.shape)
    np.testing.assert_array_equal(found, expected)
    traced = str(jax.make_jaxpr(over.batched())(x))
    assert ("[1,3,4]" in traced, "[2,3,4]" in traced) == (False, members == 6)


def test_an_unknown_execution():
    with pytest.raises(ValueError, match="execution must be one of"):
        OverMembers(jnp.sin, (True,), "pmap")
