"""The path: what was added, in order, from stacks on disk."""

import numpy as np
import pytest

from normlab.errors import UserError
from normlab.store.layout import numbered
from normlab.store.path import PathRecorder, drop_from, read_path, read_point


def variables(value: float, stats: bool = True) -> dict:
    w = np.full((3, 2), value, np.float32) + np.arange(3, dtype=np.float32)[:, None]
    batch_stats = {"norm1": {"mean": w * 2, "var": w * 3}} if stats else {}
    return {"params": {"conv1": {"kernel": w}}, "batch_stats": batch_stats}


def assert_same(found, wanted) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, dict):
            assert_same(found[name], value)
        else:
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)


def write(folder, *stacks, stats=True) -> None:
    recorder = PathRecorder(folder)
    for steps in stacks:
        for step in steps:
            recorder.add(step, variables(step, stats))
        recorder.flush()


@pytest.mark.parametrize("stats", [True, False], ids=["statistics", "none"])
def test_round_trip(tmp_path, stats):
    write(tmp_path, [0, 5], [10], [100, 105, 110], stats=stats)
    points = list(read_path(tmp_path))
    assert [step for step, _ in points] == [0, 5, 10, 100, 105, 110]
    assert all(type(step) is int for step, _ in points)
    for step, found in points:
        assert_same(found, variables(step, stats))


def test_one_point(tmp_path):
    assert read_point(tmp_path, 0) is None
    write(tmp_path, [0, 5], [10])
    for step in (0, 5, 10):
        assert_same(read_point(tmp_path, step), variables(step))
    for step in (3, 7, 11):
        assert read_point(tmp_path, step) is None
    for file in (tmp_path / "5").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    assert_same(read_point(tmp_path, 10), variables(10))
    with pytest.raises(UserError, match="/5 "):
        read_point(tmp_path, 5)


def test_points_are_copied_when_added(tmp_path):
    recorder = PathRecorder(tmp_path)
    mine = variables(1)
    recorder.add(0, mine)
    mine["params"]["conv1"]["kernel"][:] = 99  # the device may reuse the buffer
    recorder.flush()
    assert_same(next(read_path(tmp_path))[1], variables(1))


def test_flush(tmp_path):
    recorder = PathRecorder(tmp_path)
    recorder.flush()
    assert not list(tmp_path.iterdir())
    assert recorder.nbytes == 0
    recorder.add(0, variables(0))
    assert recorder.nbytes == 3 * 6 * 4
    recorder.flush()
    recorder.flush()
    assert recorder.nbytes == 0
    assert list(numbered(tmp_path)) == [0]


def test_drop_from(tmp_path):
    write(tmp_path, [0, 5], [10, 15], [20])
    drop_from(tmp_path, 15)
    assert [step for step, _ in read_path(tmp_path)] == [0, 5]
    write(tmp_path, [10, 15])
    assert [step for step, _ in read_path(tmp_path)] == [0, 5, 10, 15]
    drop_from(tmp_path, 0)
    assert not numbered(tmp_path)
    drop_from(tmp_path / "none", 0)


def test_no_path(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="no path is stored .*: run with --path_ev"):
            next(read_path(folder))


def test_a_damaged_stack_is_named(tmp_path):
    write(tmp_path, [0], [5])
    for file in (tmp_path / "5").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    points = read_path(tmp_path)
    assert next(points)[0] == 0
    with pytest.raises(UserError, match="/5 ") as caught:
        next(points)
    assert "\n" not in str(caught.value)
