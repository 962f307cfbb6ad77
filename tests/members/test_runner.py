"""A function over members without a sweep: in chunks, over devices, in any way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.members import runner as module
from normlab.members.over import OverMembers
from normlab.members.runner import Runner
from normlab.settings import DeviceSettings

X_M2 = np.arange(14, dtype=np.float32).reshape(7, 2)


def weighed(x_2, weight, data):
    return {"sum": weight * x_2.sum() + data.sum(), "x": x_2}


def make(execution: str = "vmap", **settings) -> Runner:
    words = {"devices": "1"} | settings
    data = np.ones(3, np.float32)
    return Runner(
        weighed,
        (True, False),
        execution,
        count=7,
        settings=DeviceSettings(**words),
        shared=(data,),
    )


@pytest.mark.parametrize("execution", ["vmap", "map", "loop"])
@pytest.mark.parametrize("chunk", ["auto", "1", "3", "7"])
def test_every_member_is_what_it_is_alone(execution, chunk):
    found = make(execution=execution, member_chunk=chunk)(X_M2, np.float32(2))
    np.testing.assert_array_equal(found["sum"], 2 * X_M2.sum(1) + 3)
    np.testing.assert_array_equal(found["x"], X_M2)


def test_members_are_spread_over_devices():
    run = make(devices="3", member_chunk="4")
    assert run.size(X_M2, np.float32(2)) == 6  # two rounds of two on each of three
    np.testing.assert_array_equal(run(X_M2, np.float32(2))["x"], X_M2)


def test_fewer_members_than_it_was_made_for_run_in_the_same_program():
    run = make(member_chunk="3")
    run(X_M2, np.float32(1))
    seconds = run.compile_seconds
    np.testing.assert_array_equal(run(X_M2[:2], np.float32(1))["x"], X_M2[:2])
    assert run.compile_seconds == seconds > 0


@pytest.mark.parametrize("free, size", [(10**9, 7), (300, 4), (1, 1)])
def test_as_many_at_once_as_fit(free, size, monkeypatch):
    monkeypatch.setattr(module, "available_bytes", lambda devices: free)
    run = make()
    assert run.size(X_M2, np.float32(1)) == size
    np.testing.assert_array_equal(run(X_M2, np.float32(1))["x"], X_M2)


def test_at_most_so_many_at_once_unless_a_number_is_asked_for():
    def of(chunk: str) -> int:
        settings = DeviceSettings(devices="1", member_chunk=chunk)
        run = Runner(jnp.sin, (True,), "vmap", count=100, settings=settings, at_once=32)
        return run.size(np.zeros((100, 2), np.float32))

    assert (of("auto"), of("50")) == (25, 50)


def test_out_of_memory_is_one_line_that_says_what_helps(monkeypatch):
    def full(*args):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(OverMembers, "__call__", full)
    with pytest.raises(UserError, match="memory with 3 at once; .*--member_chunk"):
        make(member_chunk="3")(X_M2, np.float32(1))
