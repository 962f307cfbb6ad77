"""A block from warm-up to rows, with Flax peers, so that it needs no PyTorch."""

import dataclasses

import numpy as np
import pytest

from normlab.bench import block as block_module
from normlab.bench.arithmetic import step_gflop
from normlab.bench.block import measure_block
from normlab.bench.machine import Machine
from normlab.bench.peers import PEERS, Peer, flax_conv
from normlab.bench.task import normlab_contender, rounded
from normlab.bench.timing import timed_run
from normlab.errors import UserError
from tests.bench.small import task

MACHINE = Machine("a machine", matmul_gflops=100.0, bandwidth_gbs=10.0)


def _absent(made):
    raise AssertionError("it must not be made")


def _broken(made):
    raise RuntimeError("no C++ compiler\nwas found")


def _misled(made):
    """It learns faster than it was told to."""
    members = [dataclasses.replace(m, lr=1.5 * m.lr) for m in made.cell.members]
    cell = dataclasses.replace(made.cell, members=tuple(members))
    plan = dataclasses.replace(made.plan, cell=cell)
    return flax_conv.contender(dataclasses.replace(made, plan=plan))


def measure(made, peers, **changes):
    settings = {"repeats": 2, "tolerance": 1e-3} | changes
    return measure_block(made, peers, MACHINE, **settings)


@pytest.fixture(scope="module")
def measured(dataset):
    peers = {
        "flax_conv": PEERS["flax_conv"],
        "absent": Peer(lambda: "it is Tuesday", {"": _absent}),
        "broken": Peer(lambda: None, {"fast": _broken}),
    }
    return measure(task(dataset), peers)


def test_rows_are_those_who_ran(measured):
    assert [row.contender for row in measured.rows] == ["normlab (map)", "flax_conv"]
    assert measured.left_out == {
        "absent": "it is Tuesday",
        "broken (fast)": "RuntimeError: no C++ compiler was found",
    }


def test_numbers_of_a_row(measured):
    mine, peer = measured.rows
    assert len(mine.ms) == len(peer.ms) == 2
    assert peer.median == pytest.approx(np.mean(peer.ms))
    assert mine.ratio == 1.0
    assert peer.ratio == pytest.approx(mine.median / peer.median)
    gflop = step_gflop("small_cnn", (8, 8, 3), 3, 5)
    assert measured.gflop == gflop
    assert peer.gflops == pytest.approx(gflop / (peer.median / 1e3))
    assert peer.matmul_share == pytest.approx(peer.gflops / 100.0)
    moved = measured.least_bytes / (peer.median / 1e3)
    assert peer.bandwidth_share == pytest.approx(moved / 1e9 / 10.0)
    assert 0 < peer.loss_gap < 1e-3 and mine.loss_gap == 0.0
    assert mine.compile_seconds > 0 and peer.compile_seconds > 0
    assert mine.memory_bytes and peer.memory_bytes


def test_numbers_of_the_block(measured):
    parameters = 448 + 4640 + 33024 + 771 + 2 * (16 + 32)  # norms' among them
    assert measured.least_bytes == 7 * 4 * parameters + 5 * 8 * 8 * 3
    assert measured.devices == 1
    assert measured.best_peer == "flax_conv"
    assert measured.ratio_to_best_peer == measured.rows[1].ratio
    share = measured.data_path_ms / measured.rows[0].median
    assert measured.data_path_share == pytest.approx(share)
    assert measured.data_path_ms > 0


def test_a_contender_that_differs_stops_the_benchmark(dataset):
    with pytest.raises(UserError) as raised:
        measure(task(dataset), {"misled": Peer(lambda: None, {"": _misled})})
    message = str(raised.value)
    assert "misled and normlab (map) do not compute the same" in message
    assert "norm batch, batch size 5" in message and "\n" not in message


def test_a_slow_contender_takes_fewer_steps(dataset, monkeypatch):
    monkeypatch.setattr(
        block_module,
        "steps_a_run",
        lambda ms, steps: dict(zip(ms, (steps, 3), strict=True)),
    )
    found = measure(task(dataset), {"flax_conv": PEERS["flax_conv"]}, repeats=1)
    assert [row.steps for row in found.rows] == [11, 3] and found.steps == 11


def test_alone_normlab_has_no_best_peer(dataset):
    found = measure(task(dataset), {}, repeats=1)
    assert found.best_peer is None and found.ratio_to_best_peer is None
    assert len(found.rows) == 1


def test_a_twin_starts_apart_by_rounding(dataset):
    mine = normlab_contender(task(dataset))
    losses, twin = timed_run(mine, 11)[1], mine.twin
    assert twin is not None
    gap = np.abs(twin(11) / losses - 1)
    # The first loss, a single number, may be the same after all.
    assert gap[:, 0].max() < 1e-5 and 0 < gap.max() < 1e-3
    np.testing.assert_array_equal(timed_run(mine, 11)[1], losses)


def test_rounding_is_that_of_the_precision():
    params = {"kernel": np.linspace(-1, 1, 7, dtype="float32")}
    for precision, size in {"float32": 2**-23, "tf32": 2**-11}.items():
        moved = rounded(params, precision)["kernel"]
        assert moved.dtype == "float32"
        np.testing.assert_allclose(
            np.abs(moved - params["kernel"]), size * np.abs(params["kernel"]), rtol=0.6
        )
