"""Out of memory on the device: fewer members at once, and it is said."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pandas as pd
import pytest

from normlab.members.memory import Footprint
from normlab.run_options import RunOptions
from normlab.store.layout import CellPaths
from normlab.store.metrics import read_parts, to_frame
from normlab.store.quantities import read_quantity
from normlab.sweep import adapt, execute
from normlab.sweep.execute import run_cell
from normlab.sweep.population import Population
from tests import tiny
from tests.faults import small

pytestmark = pytest.mark.faults


def exhaust() -> None:
    """Asks the device for more than there is: its own error, not one made up."""
    jnp.zeros(1 << 45, jnp.float32).block_until_ready()


def test_the_error_is_what_the_device_says():
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        exhaust()


def tables(paths: CellPaths) -> tuple[pd.DataFrame, pd.DataFrame]:
    metrics, probes = read_parts(paths.metrics), read_quantity(paths, "gradient_norm")
    assert metrics is not None and probes is not None
    return to_frame(metrics), probes


PLAN = tiny.plan(small.CELL, execution="map")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    paths = CellPaths(tmp_path_factory.mktemp("whole"))
    run_cell(PLAN, paths, small.OPTIONS, tiny.Silent())
    return tables(paths)


@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        "train",
        pytest.param("evaluate", marks=pytest.mark.slow),
        pytest.param("probe", marks=pytest.mark.slow),
    ],
)
def test_it_goes_on_with_fewer_and_keeps_what_was_recorded(
    work, expected, tmp_path, monkeypatch, caplog, tally
):
    """Mapped members are computed alone: not even rounding differs."""
    tally["times out of device memory"] += 1
    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))
    usual, tried = getattr(Population, work), []

    def limited(population, step, *args):
        tried.append((step, population._member_chunks.size))
        if step >= 4 and population._member_chunks.size > 2:
            exhaust()
        return usual(population, step, *args)

    monkeypatch.setattr(Population, work, limited)
    paths = CellPaths(tmp_path / "cell")
    run_cell(PLAN, paths, small.OPTIONS, tiny.Silent())
    assert f"{PLAN.name}: out of memory; now 2 at once" in caplog.text
    record = json.loads(paths.config.read_text())
    assert (record["status"], record["member_chunk"]) == ("complete", 2)
    assert 0 < record["steps_run"] < 14  # the second try went on
    small.same_tables(tables(paths), expected)


def test_a_recorded_chunk_that_memory_no_longer_holds_is_not_kept(monkeypatch, caplog):
    """A CPU that runs out has no error: whoever takes too much is killed, each time."""
    plan = tiny.plan(small.CELL, execution="vmap", member_chunk=1)
    plan = dataclasses.replace(plan, footprint=Footprint(0, 2**20))
    record = {"execution": "vmap", "member_chunk": 3, "devices": 1}

    def again(free: int) -> int:
        monkeypatch.setattr(adapt, "available_bytes", lambda *_: free)
        return adapt.as_before(plan, record, RunOptions()).member_chunk

    assert again(2**23) == 3
    assert not caplog.text
    assert again(2**21) == 1
    assert "with 3 members at once, which need 3 MiB, but only 2 MiB" in caplog.text
