"""A cell through the store: stopped anywhere, it ends in the same bits."""

import contextlib
import dataclasses
import io
import itertools
import json
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from normlab.errors import UserError
from normlab.run_options import RunOptions
from normlab.store import checkpoints
from normlab.store.layout import CellPaths, numbered
from normlab.store.lock import only_writer
from normlab.store.path import read_path
from normlab.store.run import cell_status, read_cell
from normlab.sweep import adapt, execute
from normlab.sweep.execute import run_cell
from normlab.sweep.population import Population
from normlab.sweep.progress import SweepProgress
from normlab.train.optimizers import values_of
from tests import tiny
from tests.sweep.stopped import Interrupted, StopAfter, frame_of, same_bits

CELL = tiny.cell(
    tiny.members(lrs=(0.01, 0.1), seeds=(0, 1))[:3],
    optimizer="adam",
    augment="flip_crop",
    steps=14,
    eval_every=5,
    path_every=3,
)
OPTIONS = RunOptions(checkpoint_seconds=0.0, call_steps=4)


PLAN = tiny.plan(CELL)


def state_shapes(plan):
    seeds = jnp.zeros(len(CELL.members), jnp.int32)
    values = values_of(CELL.members, CELL.hyperparameters)
    return jax.eval_shape(jax.vmap(plan.program.init), seeds, values)


@pytest.fixture
def often(monkeypatch):
    """A checkpoint after every call, whatever it costs."""
    monkeypatch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))


def final_state(paths: CellPaths, plan=PLAN):
    newest = max(numbered(paths.checkpoints))
    return newest, checkpoints.load(paths.checkpoints, newest, state_shapes(plan))


def everything(paths: CellPaths):
    """(metrics, final state, path) of a finished cell."""
    assert cell_status(paths) == "complete"
    step, state = final_state(paths)
    assert step == 14
    return frame_of(paths), state, list(read_path(paths.path))


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    same_bits(found[1], expected[1])
    assert [step for step, _ in found[2]] == [step for step, _ in expected[2]]
    same_bits(found[2], expected[2])


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    paths = CellPaths(tmp_path_factory.mktemp("whole"))
    run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    return paths


@pytest.fixture(scope="module")
def expected(never_stopped):
    return everything(never_stopped)


def steps_run(paths: CellPaths) -> int:
    return json.loads(paths.config.read_text())["steps_run"]


# What a run stores.


def test_rows_are_the_steps_and_evaluations_stand_where_asked(expected):
    frame = expected[0]
    assert len(frame) == 3 * 15  # the parameters after 0, 1, ..., 14 updates
    for _, rows in frame.groupby("member"):
        assert rows["step"].tolist() == list(range(15))
        trained = rows["batch_loss"].notna()
        assert rows.loc[trained, "step"].tolist() == list(range(14))
        for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
            measured = rows[name].notna()
            assert rows.loc[measured, "step"].tolist() == [0, 5, 10, 14]
    assert not frame["diverged"].any()


def test_the_path_is_the_states_along_training(expected):
    _, state, path = expected
    assert [step for step, _ in path] == [0, 3, 6, 9, 12, 14]
    last = path[-1][1]
    same_bits(last["params"], state.params)
    kernels = [point["params"]["conv1"]["kernel"] for _, point in path]
    for before, after in itertools.pairwise(kernels):
        assert np.all(before != after)
    assert last["batch_stats"]["norm1"]["mean"].shape == (3, 4)


def test_what_is_written_of_the_cell_is_read_back(never_stopped):
    assert read_cell(never_stopped) == CELL
    notes = json.loads(never_stopped.config.read_text())
    assert (notes["execution"], notes["member_chunk"]) == ("vmap", 3)
    assert notes["steps_run"] == 14
    assert 0 < notes["saving_seconds"] < notes["run_seconds"]
    assert 0 <= notes["restore_seconds"] < notes["run_seconds"]


def test_recording_and_evaluating_change_no_bit(expected, tmp_path):
    config = dataclasses.replace(CELL.config, path_every=0, eval_every=14)
    paths = CellPaths(tmp_path / "cell")
    bare = dataclasses.replace(CELL, config=config)
    run_cell(tiny.plan(bare), paths, OPTIONS, tiny.Silent())
    assert not paths.path.exists()
    _, state = final_state(paths)
    same_bits(state, expected[1])
    columns = ["member", "step", "batch_loss", "batch_accuracy", "gradient_norm"]
    pd.testing.assert_frame_equal(
        frame_of(paths)[columns], expected[0][columns], check_exact=True
    )


# Stopped and started again.


@pytest.mark.parametrize("seed", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.faults
def test_interrupted_anywhere_it_ends_in_the_same_bits(seed, expected, often, tmp_path):
    random = np.random.default_rng(seed)
    paths = CellPaths(tmp_path / "cell")
    interruptions = 0
    while cell_status(paths) != "complete":
        calls = int(random.integers(1, 5))
        try:
            run_cell(PLAN, paths, OPTIONS, StopAfter(calls))
        except Interrupted:
            interruptions += 1
            assert cell_status(paths) == "running"
    assert interruptions >= 1
    assert 0 < steps_run(paths) < 14  # the last start did go on, not begin again
    assert_same(everything(paths), expected)


@pytest.mark.parametrize(
    "call", [0, 3, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2, 4))]
)
@pytest.mark.faults
def test_stopped_between_the_writes_of_a_checkpoint(
    call, expected, often, tmp_path, monkeypatch
):
    """A part may be there and its path not, or both and the checkpoint not."""
    paths = CellPaths(tmp_path / "cell")
    save, calls = checkpoints.save, itertools.count()

    def stops(*args, **kwargs):
        if next(calls) == call:
            raise Interrupted
        save(*args, **kwargs)

    monkeypatch.setattr(checkpoints, "save", stops)
    with pytest.raises(Interrupted):
        run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    ahead = max(numbered(paths.metrics, "part-", ".parquet"))
    assert ahead > max(numbered(paths.checkpoints), default=0)
    # Calls of another length: no part of the first start is written over by chance.
    other = dataclasses.replace(OPTIONS, call_steps=3, checkpoint_seconds=600.0)
    run_cell(PLAN, paths, other, tiny.Silent())
    assert_same(everything(paths), expected)


@pytest.mark.faults
def test_stopped_before_the_last_word(expected, tmp_path, monkeypatch):
    """All was stored, but cell.json does not say so yet: nothing is trained again."""
    paths = CellPaths(tmp_path / "cell")
    write = execute.write_cell

    def stops(paths, cell, status, **notes):
        if status == "complete":
            raise Interrupted
        write(paths, cell, status, **notes)

    monkeypatch.setattr(execute, "write_cell", stops)
    with pytest.raises(Interrupted):
        run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    monkeypatch.undo()
    progress = tiny.Silent()
    run_cell(PLAN, paths, OPTIONS, progress)
    assert progress.calls == 0
    assert_same(everything(paths), expected)


def test_the_pace_has_no_time_from_before_it_began(tmp_path, monkeypatch):
    """What was compiled before is told before: the pace does not leave it out."""
    monkeypatch.setattr(Population, "compile_seconds", property(lambda _: 100.0))
    told: list[Any] = []

    class Watched(tiny.Silent):
        def begin(self, name, steps, step, members):
            told.append("begin")

        def compiled(self, seconds):
            told.append(seconds)

    run_cell(PLAN, CellPaths(tmp_path), OPTIONS, Watched())
    assert told == [100.0, "begin"]


def break_largest(folder):
    """Zeros over the middle of the largest file below ``folder``."""
    largest = max(
        (p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    data = bytearray(largest.read_bytes())
    middle = slice(len(data) // 4, 3 * len(data) // 4)
    data[middle] = bytes(len(data[middle]))
    largest.write_bytes(data)


def empty(folder):
    for entry in list(folder.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@pytest.mark.parametrize(
    "damage, how_many",
    [
        (break_largest, 1),
        pytest.param(empty, 1, marks=pytest.mark.slow),
        (break_largest, 2),
    ],
)
@pytest.mark.faults
def test_damaged_checkpoints_are_passed_over(
    damage, how_many, expected, often, tmp_path, caplog
):
    paths = CellPaths(tmp_path / "cell")
    with pytest.raises(Interrupted):
        run_cell(PLAN, paths, OPTIONS, StopAfter(4))
    steps = sorted(numbered(paths.checkpoints), reverse=True)
    assert len(steps) == 2  # keep_checkpoints
    for step in steps[:how_many]:
        damage(paths.checkpoints / str(step))
    run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    assert caplog.text.count("falling back") == how_many
    assert steps_run(paths) == 14 - (steps[1] if how_many == 1 else 0)
    assert_same(everything(paths), expected)


def test_a_complete_cell_is_left_alone(never_stopped):
    def stamps():
        files = (p for p in never_stopped.root.rglob("*") if p.is_file())
        return {p: p.stat().st_mtime_ns for p in files}

    before = stamps()
    progress = tiny.Silent()
    run_cell(PLAN, never_stopped, OPTIONS, progress)
    assert progress.calls == 0
    assert stamps() == before


@pytest.mark.faults
def test_a_second_writer_is_refused(tmp_path):
    paths = CellPaths(tmp_path / "cell")
    with (
        only_writer(paths.lock),
        pytest.raises(UserError, match="another process is writing"),
    ):
        run_cell(PLAN, paths, OPTIONS, tiny.Silent())
    assert cell_status(paths) == "absent"


# Settings that may change between two starts.


@pytest.mark.parametrize(
    "call_steps, seconds", [(3, 5.0), pytest.param(4, 1e-9, marks=pytest.mark.slow)]
)
def test_the_length_of_calls_changes_no_bit(
    call_steps, seconds, expected, often, tmp_path, monkeypatch
):
    """Another number of steps in a call, and another time that a call may take."""
    paths = CellPaths(tmp_path / "cell")
    with pytest.raises(Interrupted):
        run_cell(PLAN, paths, OPTIONS, StopAfter(2))
    monkeypatch.setattr(execute, "_CALL_SECONDS", seconds)
    options = dataclasses.replace(OPTIONS, call_steps=call_steps)
    run_cell(PLAN, paths, options, tiny.Silent())
    assert 0 < steps_run(paths) < 14
    assert_same(everything(paths), expected)


@pytest.mark.slow
def test_it_resumes_in_other_executions_and_member_chunks(often, tmp_path):
    """SGD: Adam would make steps of size lr out of a zero gradient's rounding."""
    plan = tiny.plan(dataclasses.replace(CELL, config=tiny.cell_config(steps=14)))
    whole, cut = CellPaths(tmp_path / "whole"), CellPaths(tmp_path / "cut")
    run_cell(plan, whole, OPTIONS, tiny.Silent())
    for execution, member_chunk in (("vmap", 3), ("map", 2), ("loop", 1)):
        other = dataclasses.replace(
            plan, execution=execution, member_chunk=member_chunk
        )
        with contextlib.suppress(Interrupted):
            run_cell(other, cut, OPTIONS, StopAfter(2 if execution != "loop" else 99))
    assert 0 < steps_run(cut) < 14
    pd.testing.assert_frame_equal(
        frame_of(cut), frame_of(whole), check_exact=False, rtol=1e-3, atol=1e-5
    )

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    states = [final_state(paths, plan)[1] for paths in (cut, whole)]
    jax.tree.map(close, *states)


# How often a checkpoint is taken.


def test_checkpoints_cost_a_small_share_of_the_time(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(execute.time, "monotonic", lambda: clock[0])
    timer = execute._Timer(least=60.0, last=100.0)
    clock[0] = 159.0
    assert not timer.due()
    clock[0] = 160.0
    assert timer.due()
    clock[0] = 170.0  # it took ten seconds: 500 until the next
    timer.done(160.0)
    clock[0] = 669.0
    assert not timer.due()
    clock[0] = 671.0
    assert timer.due()


def test_a_resumed_cell_keeps_its_chunk_and_devices(tmp_path, often, expected):
    """Free memory may differ at the next start; the numbers may not."""
    paths = CellPaths(tmp_path)
    with pytest.raises(Interrupted):
        run_cell(PLAN, paths, OPTIONS, StopAfter(2))
    assert json.loads(paths.config.read_text())["member_chunk"] == PLAN.member_chunk
    other = dataclasses.replace(PLAN, member_chunk=2, devices=2)
    run_cell(other, paths, OPTIONS, tiny.Silent())
    record = json.loads(paths.config.read_text())
    assert (record["member_chunk"], record["devices"]) == (
        PLAN.member_chunk,
        PLAN.devices,
    )
    assert_same(everything(paths), expected)


def test_a_wish_or_another_mode_is_not_overruled_by_the_record(caplog):
    record = {"execution": "vmap", "member_chunk": 3, "devices": 2}
    other = dataclasses.replace(PLAN, member_chunk=2, devices=1)

    def again(record, **options):
        wish = dataclasses.replace(OPTIONS, **options)
        found = adapt.as_before(other, record, wish)
        return found.member_chunk, found.devices

    assert again(record) == (3, 2)
    assert again(record, member_chunk="2") == (2, 2)
    assert again(record, devices="1") == (3, 1)
    assert again(record | {"execution": "map"}) == (2, 1)
    assert again(record | {"member_chunk": None}) == (2, 2)
    assert not caplog.text
    assert again(record | {"devices": 99}) == (3, 1)
    assert "--devices=99, which is not available; using 1" in caplog.text


class OutOfMemory:
    """From step ``after`` on, trains at most ``most`` members at once."""

    def __init__(self, monkeypatch, most: int, after: int = 0):
        self.tried, train = [], Population.train

        def limited(population, step, count):
            self.tried.append((population._member_chunks.size, step))
            if population._member_chunks.size > most and step >= after:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            return train(population, step, count)

        monkeypatch.setattr(Population, "train", limited)


@pytest.mark.slow
@pytest.mark.faults
def test_a_cell_too_wide_for_the_device_goes_on_in_halves(
    tmp_path, monkeypatch, caplog, often
):
    whole = CellPaths(tmp_path / "whole")
    run_cell(tiny.plan(CELL, execution="map"), whole, OPTIONS, tiny.Silent())
    memory = OutOfMemory(monkeypatch, most=1)
    halves = CellPaths(tmp_path / "halves")
    run_cell(tiny.plan(CELL, execution="map"), halves, OPTIONS, tiny.Silent())
    assert [member_chunk for member_chunk, _ in memory.tried[:3]] == [3, 2, 1]
    assert {member_chunk for member_chunk, _ in memory.tried[2:]} == {1}
    assert "now 1 at once" in caplog.text
    record = json.loads(halves.config.read_text())
    assert (record["status"], record["member_chunk"]) == ("complete", 1)
    assert_same(everything(halves), everything(whole))


@pytest.mark.faults
def test_out_of_memory_half_way_goes_on_from_the_checkpoint(
    tmp_path, monkeypatch, often
):
    memory = OutOfMemory(monkeypatch, most=2, after=5)
    stream = io.StringIO()
    progress = SweepProgress(CELL.member_steps, 1, stream)
    plan = tiny.plan(CELL, execution="map")
    run_cell(plan, CellPaths(tmp_path), OPTIONS, progress)
    halves = [step for member_chunk, step in memory.tried if member_chunk == 2]
    assert memory.tried[0] == (3, 0)
    assert (
        halves[0]
        == max(step for member_chunk, step in memory.tried if member_chunk == 3)
        > 0
    )
    assert "continues from step" in stream.getvalue()
    # Every step of the one cell is counted once.
    assert (progress._cell, progress._done) == (1, CELL.member_steps)


def test_the_cores_of_a_cpu_share_its_memory_and_gpus_do_not(monkeypatch):
    error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
    plan = dataclasses.replace(PLAN, member_chunk=4, devices=2)
    sizes = []
    for _ in range(2):
        plan = adapt.narrower(plan, error)
        sizes.append((plan.member_chunk, plan.devices))
    assert sizes == [(2, 2), (1, 1)]
    full = dataclasses.replace(PLAN, member_chunk=2, devices=2)
    gpu = type("Gpu", (), {"platform": "gpu"})()
    monkeypatch.setattr(jax, "local_devices", lambda: [gpu, gpu])
    with pytest.raises(UserError, match="one member at a time"):
        adapt.narrower(full, error)


@pytest.mark.faults
def test_one_member_too_large_is_said_in_one_line(tmp_path, monkeypatch):
    OutOfMemory(monkeypatch, most=0)
    with pytest.raises(UserError, match="one member at a time; a smaller --batch_size"):
        run_cell(PLAN, CellPaths(tmp_path), OPTIONS, tiny.Silent())


def test_another_fault_of_the_device_is_not_taken_for_a_lack_of_memory(
    tmp_path, monkeypatch
):
    def fails(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: the device fell off")

    monkeypatch.setattr(Population, "train", fails)
    with pytest.raises(jax.errors.JaxRuntimeError, match="fell off"):
        run_cell(PLAN, CellPaths(tmp_path), OPTIONS, tiny.Silent())


@pytest.mark.faults
def test_a_lost_part_stops_a_resume(tmp_path, often):
    paths = CellPaths(tmp_path)
    with pytest.raises(Interrupted):
        run_cell(PLAN, paths, OPTIONS, StopAfter(3))
    parts = sorted(paths.metrics.glob("*.parquet"))
    assert len(parts) > 1
    parts[0].unlink()
    with pytest.raises(UserError, match="are missing; remove"):
        run_cell(PLAN, paths, OPTIONS, tiny.Silent())
