"""Computes a landscape tile by tile, and continues an interrupted computation."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from normlab import data
from normlab.cell import Cell
from normlab.data import Dataset
from normlab.landscape.points import Points
from normlab.landscape.select import origin_member
from normlab.landscape.settings import LandscapeConfig
from normlab.landscape.slices import SLICES, Asked
from normlab.landscape.surface import Surface, statistics_of
from normlab.store.landscapes import (
    Axes,
    drop_tiles_after,
    landscape_folder,
    read_axes,
    read_tiles,
    write_axes,
    write_tile,
)
from normlab.store.layout import CellPaths
from normlab.store.leftovers import remove_temporaries
from normlab.store.lock import only_writer
from normlab.store.provenance import warn_changed
from normlab.store.run import read_record
from normlab.train.program import build_program

# Called with (stored points, all points) at the start and after each tile.
Progress = Callable[[int, int], None]

# The settings that each kind depends on, in addition to the point.
_OWN: dict[str, tuple[str, ...]] = {
    "plane": ("span", "direction_seed"),
    "line": ("span", "direction_seed"),
    "between": ("span",),
    "path": ("margin", "path_points"),
}
_LINES = ("line", "between")


class Landscape(NamedTuple):
    """A landscape of one member.

    Attributes:
      cell: the member's cell.
      settings: the settings that identify the landscape, as stored.
      axes: the grid.
      table: the losses, as returned by `normlab.store.landscapes.read_tiles`.
    """

    cell: Cell
    settings: dict[str, Any]
    axes: Axes
    table: pd.DataFrame


class CellLandscapes:
    """Landscapes of the members of one cell.

    They share the dataset and the compiled program. Both are made when first needed, so
    a complete landscape needs neither.

    Args:
      paths: the paths of the cell.
      cell: the cell.
      config: the settings of the landscapes.
    """

    def __init__(self, paths: CellPaths, cell: Cell, config: LandscapeConfig):
        self._paths, self._cell, self._config = paths, cell, config
        self._points = Points(
            paths, cell, lambda: build_program(cell.config, self._dataset)
        )

    @cached_property
    def _dataset(self) -> Dataset:
        folder = data.data_dir(self._config.data_dir or None)
        dataset = data.load(self._cell.config.dataset, folder)
        return data.subset(dataset, self._cell.config.train_size)

    @cached_property
    def _surface(self) -> Surface:
        count = self._config.points
        total = count if self._config.kind in _LINES else count**2
        surface = Surface(self._cell.config, self._dataset, self._config, total)
        warn_changed(read_record(self._paths), self._cell.config)
        return surface

    def compute(self, member: int, on_progress: Progress) -> Landscape:
        """The landscape of one member. Stored tiles are not computed again.

        Args:
          member: position of the member in the cell.
          on_progress: called at the start and after each tile.

        Raises:
          UserError: the point is not stored, stored data is damaged, another process
            is computing this landscape, the disk is full, or a device runs out of
            memory.
        """
        asked = self._asked(member)
        settings = self._settings(asked)
        folder = landscape_folder(self._paths, settings)
        begun = read_axes(folder)
        if begun is not None:
            done, table = read_tiles(folder)
            if table is not None and done == len(begun[1].coordinates_N2):
                on_progress(done, done)
                return Landscape(self._cell, settings, begun[1], table)
        points = self._points  # fails on a user's mistake before any folder is made
        along, axes = SLICES[self._config.kind](points, asked, self._config)
        size = self._surface.tile(along)
        with only_writer(folder / "lock"):
            remove_temporaries(folder)
            begun = read_axes(folder)
            if begun is None:
                write_axes(folder, settings, axes)
            else:
                axes = begun[1]
            coordinates_N2 = axes.coordinates_N2
            done, _ = read_tiles(folder)
            drop_tiles_after(folder, done)
            on_progress(done, len(coordinates_N2))
            along = self._surface.share(along)
            while done < len(coordinates_N2):
                tile_N2 = coordinates_N2[done : done + size]
                write_tile(folder, done, tile_N2, self._surface(along, tile_N2))
                done += len(tile_N2)
                on_progress(done, len(coordinates_N2))
        _, table = read_tiles(folder)
        assert table is not None
        return Landscape(self._cell, settings, axes, table)

    def _asked(self, member: int) -> Asked:
        step = self._config.step
        step = self._points.last() if step < 0 else step
        if self._config.kind != "between":
            return Asked(member, step, (member, step))
        begin = self._config.from_step
        begin = self._points.first() if begin < 0 else begin
        return Asked(
            member, step, (origin_member(self._cell, member, self._config), begin)
        )

    def _settings(self, asked: Asked) -> dict[str, Any]:
        """Exactly the settings that affect the losses; they determine the folder."""
        config, cell_config = self._config, self._cell.config
        images = config.images
        if config.split == ("train",):  # the size of the test set is not known here
            images = min(images, cell_config.train_size)
        settings: dict[str, Any] = {
            "kind": config.kind,
            "member": dataclasses.asdict(self._cell.members[asked.member]),
            "step": asked.step,
            "points": config.points,
            "split": config.split,
            "images": images,
            "statistics": statistics_of(cell_config.norm, config.statistics),
            "batch": config.batch or cell_config.batch_size,
        }
        settings |= {name: getattr(config, name) for name in _OWN[config.kind]}
        if config.kind == "between":
            member, step = asked.origin
            origin = dataclasses.asdict(self._cell.members[member])
            settings |= {"from_member": origin, "from_step": step}
        return settings
