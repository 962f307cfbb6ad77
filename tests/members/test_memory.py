"""What a cell takes, and how many members fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.members import memory
from normlab.members.memory import (
    Footprint,
    available_bytes,
    choose_member_chunk,
    tree_bytes,
    working_bytes,
)
from normlab.run_options import RunOptions
from normlab.sweep.plan import make_plan
from normlab.train.program import data_arrays, to_device
from tests import tiny


@pytest.fixture(scope="module")
def plan():
    config = tiny.sweep_config(norm=("batch",), num_seeds=2, batch_size=(32,))
    return make_plan(config, RunOptions(execution="vmap", call_steps=3)).cells[0].now()


def test_state_bytes_are_exact(plan):
    seeds, scalars = jnp.zeros(4, jnp.int32), jnp.zeros(4)
    names = ("lr", "momentum", "weight_decay")
    init = jax.vmap(plan.program.init)
    shapes = jax.eval_shape(init, seeds, {name: scalars for name in names})
    assert plan.footprint.state * 4 == tree_bytes(shapes)
    parameters = sum(np.prod(x.shape[1:]) for x in jax.tree.leaves(shapes.params))
    # Adam: the parameters thrice; then 96 running averages and a few scalars.
    assert 0 < plan.footprint.state - 12 * parameters - 4 * 96 < 100


def test_working_bytes_bound_what_the_compiler_takes():
    cell, data = tiny.cell(), tiny.dataset()
    program = tiny.program(cell.config, data)
    scalar, whole = jnp.zeros(()), jnp.int32(3)
    names = ("lr", "momentum", "weight_decay")
    state = jax.eval_shape(program.init, whole, {name: scalar for name in names})
    arrays = to_device(data_arrays(data))
    indices = jnp.zeros((3, cell.config.batch_size), jnp.int32)
    for function, args in (
        (program.call, (state, indices, whole, arrays)),
        (program.evaluate, (state, jnp.arange(9), arrays)),
    ):
        compiled = jax.jit(function).lower(*args).compile()
        analysis = compiled.memory_analysis()
        assert analysis is not None
        assert 0 < analysis.temp_size_in_bytes <= working_bytes(function, *args)


def test_working_bytes_of_a_function_counted_by_hand():
    x = jax.ShapeDtypeStruct((10, 10), jnp.float32)

    def function(x):
        def body(_, y):
            return jnp.sin(y)  # once, not five times; and the trip count, int32

        return jax.lax.fori_loop(0, 5, body, x + 1)

    found = working_bytes(function, x)
    assert 2 * 400 <= found <= 2 * 400 + 100


def test_a_step_holds_at_least_its_patches_and_gradient(plan):
    patches = 32 * 8 * 8 * 9 * 4  # of the first convolution
    parameters = plan.footprint.state / 3
    assert plan.footprint.working > patches + parameters
    assert plan.footprint.working < 2**28


def test_only_vmap_works_on_all_members_at_once():
    footprint = Footprint(state=10, working=1000)
    assert footprint.total(5, "vmap") == 2 * 10 * 5 + 5000
    assert footprint.total(5, "map") == footprint.total(5, "loop") == 100 + 1000


def test_each_device_works_on_a_member_and_the_last_round_is_full():
    footprint = Footprint(state=10, working=1000)
    assert footprint.total(5, "map", devices=2) == 2 * 10 * 6 + 2 * 1000
    assert footprint.total(5, "vmap", devices=2) == 2 * 10 * 6 + 6 * 1000


@pytest.mark.slow
def test_the_compiler_measures_where_the_bound_leaves_members_out(
    monkeypatch,
):
    """The bound counts what is never held at once; the compiled program does not."""
    config = tiny.sweep_config(norm=("batch",), num_seeds=8)
    options = RunOptions(execution="vmap", call_steps=3)
    free = make_plan(config, options).cells[0].now()
    assert (free.member_chunk, free.footprint.measured) == (16, False)
    # Half of what the bound asks for (the data is taken off before).
    need = free.footprint.total(16, "vmap") / memory._SHARE
    data_bytes = sum(x.nbytes for x in data_arrays(free.dataset).values())
    monkeypatch.setattr(
        "normlab.sweep.room.available_bytes", lambda *_: need / 2 + data_bytes
    )
    tight = make_plan(config, options).cells[0].now()
    assert tight.footprint.measured
    assert tight.footprint.working < free.footprint.working
    assert "measured by the compiler" in tight.member_chunk_why
    assert tight.member_chunk > 8  # what the bound alone would have let in


def test_compiled_bytes_of_a_function_counted_by_hand():
    x = jax.ShapeDtypeStruct((100, 100), jnp.float32)

    def function(x):  # a product is not fused: one (100, 100) of float32 in between
        return (x @ x) @ x

    assert 4e4 <= memory.compiled_bytes(function, x) < 1.2e5


@pytest.mark.parametrize(
    "asked, members, fits, size",
    [
        ("auto", 12, 100, 12),
        ("auto", 12, 12, 12),
        ("auto", 12, 11, 6),  # two equal chunks, not 11 and 1
        ("auto", 12, 5, 4),
        ("auto", 7, 3, 3),
        ("auto", 7, 0, 1),  # not even one fits: try one
        ("5", 12, 1, 5),
        ("99", 12, 1, 12),
    ],
)
def test_choose_member_chunk(asked, members, fits, size):
    footprint = Footprint(state=0, working=1000)
    available = int(fits * 1000 / memory._SHARE) + 10
    found, why = choose_member_chunk(asked, members, footprint, "vmap", available)
    assert found == size
    assert ("as requested" in why) == (asked != "auto")


def test_available_memory():
    class Gpu:
        platform = "gpu"

        def memory_stats(self):
            return {"bytes_limit": 1000, "bytes_in_use": 300}

    assert available_bytes([Gpu()]) == 700
    assert available_bytes([Gpu()], whole=True) == 1000
    assert available_bytes([Gpu(), Gpu()]) == 1400
    one, two = (available_bytes(jax.devices("cpu")[:n]) for n in (1, 2))
    assert 2**24 < one < 2**50
    assert 0.5 < one / two < 2  # the machine's, whatever the number of its devices
