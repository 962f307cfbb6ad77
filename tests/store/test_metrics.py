"""Metrics: hand-made tables, parts on disk, and what `diverged` means."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normlab.errors import UserError
from normlab.store import tables
from normlab.store.metrics import Recorder, drop_after, read_parts, to_frame, write_part

NAN, INF = float("nan"), float("inf")


def block(*rows: list[float], **others) -> dict[str, np.ndarray]:
    found = {"batch_loss": np.array(rows, np.float32)}
    return found | {k: np.array(v, np.float32) for k, v in others.items()}


def values(**rows: list[float]) -> dict[str, np.ndarray]:
    return {name: np.array(row, np.float32) for name, row in rows.items()}


def same(found: list, wanted: list) -> bool:
    """Equal lists, where a NaN equals a NaN and None only None."""
    pairs = zip(found, wanted, strict=True)
    return all(
        (a is None) == (b is None) and (a == b or (a != a and b != b)) for a, b in pairs
    )


def test_rows_are_members_by_steps():
    recorder = Recorder(4)
    recorder.steps(block([1, 2], [3, 4], gradient_norm=[[5, 6], [7, 8]]))
    recorder.steps(block([9], [10], gradient_norm=[[11], [12]]))
    table = recorder.table()
    assert table.column_names == ["member", "step", "batch_loss", "gradient_norm"]
    assert table["member"].to_pylist() == [0, 0, 0, 1, 1, 1]
    assert table["step"].to_pylist() == [4, 5, 6, 4, 5, 6]
    assert table["batch_loss"].to_pylist() == [1, 2, 9, 3, 4, 10]
    assert table["gradient_norm"].to_pylist() == [5, 6, 11, 7, 8, 12]
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    assert types["member"] == types["step"] == pa.int32()
    assert types["batch_loss"] == pa.float32()


def test_not_measured_is_null_and_not_a_number_is_nan():
    recorder = Recorder(0)
    recorder.evaluation(0, values(test_loss=[2.5, 2.6]))
    recorder.steps(block([1, NAN, INF], [4, 5, 6]))
    recorder.evaluation(2, values(test_loss=[NAN, 0.5], test_loss_batch=[7, 8]))
    recorder.evaluation(3, values(test_loss=[-INF, 0.25]))
    table = recorder.table()
    assert table["step"].to_pylist() == [0, 1, 2, 3] * 2
    assert same(
        table["batch_loss"].to_pylist(), [1.0, NAN, INF, None, 4.0, 5.0, 6.0, None]
    )
    assert same(
        table["test_loss"].to_pylist(),
        [2.5, None, NAN, -INF, np.float32(2.6).item(), None, 0.5, 0.25],
    )
    assert same(
        table["test_loss_batch"].to_pylist(),
        [None, None, 7.0, None, None, None, 8.0, None],
    )


def test_evaluations_alone():
    recorder = Recorder(7)
    recorder.evaluation(9, values(test_loss=[1, 2]))
    recorder.evaluation(7, values(test_loss=[3, 4]))
    table = recorder.table()
    assert table["step"].to_pylist() == [7, 9, 7, 9]
    assert table["test_loss"].to_pylist() == [3, 1, 4, 2]
    assert "batch_loss" not in table.column_names


def one_step(step: int) -> pa.Table:
    recorder = Recorder(step)
    recorder.steps(block([step], [10 * step]))
    return recorder.table()


def test_parts_come_back_in_order(tmp_path):
    for step, end in ((10, 1000000000), (0, 2), (2, 10)):
        write_part(tmp_path, end, one_step(step))
    (tmp_path / "part-00000004.parquet.tmp").write_bytes(b"junk")
    (tmp_path / ".part-00000004.parquet.9.tmp").write_bytes(b"junk")
    table = read_parts(tmp_path)
    assert table is not None
    assert table["step"].to_pylist() == [0, 0, 2, 2, 10, 10]


def test_parts_with_other_metrics_are_joined(tmp_path):
    write_part(tmp_path, 1, one_step(0))
    recorder = Recorder(1)
    recorder.evaluation(1, values(test_loss=[5, 6]))
    write_part(tmp_path, 2, recorder.table())
    table = read_parts(tmp_path)
    assert table is not None
    assert table["batch_loss"].to_pylist() == [0, 0, None, None]
    assert table["test_loss"].to_pylist() == [None, None, 5, 6]


def test_drop_after(tmp_path):
    for step in (5, 10, 15):
        write_part(tmp_path, step, one_step(step))
    (tmp_path / "notes.txt").touch()
    drop_after(tmp_path, 10)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["notes.txt", "part-00000005.parquet", "part-00000010.parquet"]
    drop_after(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    drop_after(tmp_path / "none", 0)


def test_a_missing_part_is_an_error(tmp_path):
    for step in (0, 5, 10):
        write_part(tmp_path, step + 5, one_step(step))
    assert read_parts(tmp_path, 15) is not None
    with pytest.raises(UserError, match="after step 15 are missing; remove"):
        read_parts(tmp_path, 20)
    (tmp_path / "part-00000010.parquet").unlink()
    with pytest.raises(UserError, match="before .*part-00000015.parquet are missing"):
        read_parts(tmp_path)
    with pytest.raises(UserError, match="after step 0 are missing"):
        read_parts(tmp_path / "none", 15)


def test_no_parts(tmp_path):
    assert read_parts(tmp_path) is None
    assert read_parts(tmp_path / "none") is None


@pytest.mark.parametrize("damage", ["empty", "half", "flip the footer", "text"])
def test_a_damaged_part_is_named(tmp_path, damage):
    write_part(tmp_path, 1, one_step(0))
    write_part(tmp_path, 2, one_step(1))
    path = tmp_path / "part-00000002.parquet"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-6] ^= 0xFF
    path.write_bytes(
        {
            "empty": b"",
            "half": content[: len(content) // 2],
            "flip the footer": bytes(flipped),
            "text": b"not parquet" * 20,
        }[damage]
    )
    with pytest.raises(UserError, match=r"part-00000002\.parquet is damaged") as caught:
        read_parts(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.faults
def test_no_flipped_byte_is_read_as_another_number(tmp_path):
    recorder = Recorder(0)
    recorder.steps(block(list(range(40))))
    write_part(tmp_path, 40, recorder.table())
    path = tmp_path / "part-00000040.parquet"
    content = path.read_bytes()
    right = pq.read_table(path)
    for i in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[i] ^= 0x10
        path.write_bytes(bytes(flipped))
        try:
            found = read_parts(tmp_path)
        except UserError:
            continue
        assert found is not None and found.equals(right), f"byte {i}"


@pytest.mark.faults
def test_a_failed_part_leaves_nothing(tmp_path, monkeypatch):
    def full(table, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    write_part(tmp_path, 1, one_step(1))
    monkeypatch.setattr(tables.pq, "write_table", full)
    with pytest.raises(UserError, match="No space left"):
        write_part(tmp_path, 2, one_step(2))
    assert [path.name for path in tmp_path.iterdir()] == ["part-00000001.parquet"]


def diverged(recorder: Recorder) -> list[list[bool]]:
    """A list a member."""
    frame = to_frame(recorder.table())
    assert frame["diverged"].dtype == bool
    return [list(rows["diverged"]) for _, rows in frame.groupby("member")]


def test_diverged_from_the_first_bad_loss_on():
    recorder = Recorder(0)
    recorder.steps(block([1, 1, 1], [1, NAN, 1], [INF, 1, 1], [1, 1, -INF]))
    assert diverged(recorder) == [
        [False, False, False],
        [False, True, True],
        [True, True, True],
        [False, False, True],
    ]


def test_not_measured_is_not_diverged():
    recorder = Recorder(0)
    recorder.steps(block([1, 1], [1, 1]))
    recorder.evaluation(2, values(test_loss=[1, NAN], train_loss=[1, 1]))
    frame = to_frame(recorder.table())
    assert frame["test_loss"].isna().sum() == 5
    assert diverged(recorder) == [[False] * 3, [False, False, True]]


def test_a_bad_gradient_or_accuracy_is_not_divergence():
    recorder = Recorder(0)
    recorder.steps(block([1, 1], gradient_norm=[[INF, NAN]]))
    recorder.evaluation(0, values(test_accuracy=[NAN]))
    assert diverged(recorder) == [[False, False]]


def test_divergence_lasts_over_parts(tmp_path):
    first, second = Recorder(0), Recorder(2)
    first.steps(block([1, NAN], [1, 1]))
    second.steps(block([1, 1], [1, 1]))
    write_part(tmp_path, 2, first.table())
    write_part(tmp_path, 4, second.table())
    table = read_parts(tmp_path)
    assert table is not None
    frame = to_frame(table)
    assert list(frame["member"]) == [0] * 4 + [1] * 4
    assert list(frame["step"]) == [0, 1, 2, 3] * 2
    assert list(frame["diverged"]) == [False, True, True, True] + [False] * 4
