"""Tiles of a landscape: what was written, in order, up to a gap."""

import numpy as np
import pytest

from normlab.errors import UserError
from normlab.store.landscapes import (
    Axes,
    drop_tiles_after,
    landscape_folder,
    read_axes,
    read_tiles,
    stored_landscapes,
    write_axes,
    write_tile,
)
from normlab.store.layout import CellPaths

SETTINGS = {"kind": "plane", "points": 3, "split": ("train",), "span": 0.1}
AXES = Axes((-0.1, 0.0, 0.1), (0.0, 1 / 3))
KEYS = (("train", "batch"), ("train", "running"))


def write(folder, start: int, stop: int) -> None:
    found = {
        key: (np.arange(start, stop) + 10.0 * i, np.full(stop - start, 0.5))
        for i, key in enumerate(KEYS)
    }
    write_tile(folder, start, AXES.coordinates_N2[start:stop], found)


def test_coordinates():
    np.testing.assert_array_equal(
        AXES.coordinates_N2,
        [[-0.1, 0], [0, 0], [0.1, 0], [-0.1, 1 / 3], [0, 1 / 3], [0.1, 1 / 3]],
    )
    assert Axes((1.0, 2.0)).coordinates_N2.tolist() == [[1, 0], [2, 0]]


def test_axes_come_back_to_the_bit(tmp_path):
    paths = CellPaths(tmp_path)
    folder = landscape_folder(paths, SETTINGS)
    assert folder.parent == paths.landscapes and folder.name.startswith("plane-")
    assert read_axes(folder) is None and stored_landscapes(paths) == []
    write_axes(folder, SETTINGS, AXES)
    settings, axes = read_axes(folder) or ({}, None)
    assert axes == AXES
    assert settings == {**SETTINGS, "split": ["train"]}
    assert stored_landscapes(paths) == [folder]
    assert landscape_folder(paths, settings) == folder
    assert landscape_folder(paths, {**settings, "span": 0.2}) != folder
    path = {"step": [0, 5], "a": [0.1, 0.0], "b": [1 / 3, 0.0]}
    write_axes(folder, SETTINGS, Axes(AXES.a, AXES.b, (0.7, 0.1), path))
    assert read_axes(folder) == (settings, Axes(AXES.a, AXES.b, (0.7, 0.1), path))


def test_tiles(tmp_path):
    assert read_tiles(tmp_path) == (0, None)
    write(tmp_path, 0, 4)
    write(tmp_path, 4, 6)
    done, table = read_tiles(tmp_path)
    assert done == 6 and table is not None and len(table) == 12
    for i, (split, statistics) in enumerate(KEYS):
        rows = table[(table["split"] == split) & (table["statistics"] == statistics)]
        assert rows["point"].tolist() == [0, 1, 2, 3, 4, 5]
        np.testing.assert_array_equal(rows[["a", "b"]], AXES.coordinates_N2)
        np.testing.assert_array_equal(rows["loss"], np.arange(6) + 10.0 * i)
        assert (rows["accuracy"] == 0.5).all()


def test_a_gap_ends_it(tmp_path):
    for start in (0, 2, 4):
        write(tmp_path, start, start + 2)
    (tmp_path / "part-00000004.parquet").unlink()
    assert read_tiles(tmp_path)[0] == 2
    drop_tiles_after(tmp_path, 2)
    assert [file.name for file in tmp_path.iterdir()] == ["part-00000002.parquet"]


def test_damage(tmp_path):
    write(tmp_path, 0, 2)
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(UserError, match="part-00000002.parquet is damaged.*remove it"):
        read_tiles(tmp_path)
    (tmp_path / "landscape.json").write_text('{"format": 0}')
    with pytest.raises(UserError, match="another version of normlab; remove"):
        read_axes(tmp_path)
