"""Writes all event files of a run, or none."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from normlab.errors import UserError
from normlab.figures.tables import with_names
from normlab.store.layout import CellPaths, RunPaths, exists
from normlab.store.links import check_links
from normlab.store.load import begun_cells, members
from normlab.store.metrics import part_times
from normlab.store.run import read_cell
from normlab.tensorboard.events import FILE_NAME, check_installed, write_events
from normlab.tensorboard.seeds import bands, charts
from normlab.tensorboard.series import series_of


def export_run(run: str | Path, out: str | Path | None = None) -> Path:
    """Exports a stored run to TensorBoard and replaces an earlier export.

    Args:
      run: a run directory; it may be unfinished.
      out: the output folder; RUN/tensorboard by default.

    Returns:
      The output folder, for ``tensorboard --logdir``. It has a folder for each cell,
      with a folder for each member, named by the settings that vary:
      ``batch/lr 0.001, seed 0``, and one for all seeds of a point, with their mean and
      range: ``batch/lr 0.001, 3 seeds``. Restart TensorBoard if it shows an earlier
      export.

    Raises:
      UserError: tensorboardX is not installed; ``run`` is not a run directory, is still
        empty, or has a damaged file; ``out`` contains other files or cannot be written.
    """
    check_installed()
    paths = RunPaths.at(run)
    check_links(paths)
    folder = RunPaths.at(out).root if out else paths.tensorboard
    _check_replaceable(folder)
    table = members(paths.root)
    names, settings = run_names(table), _hyperparameters(table)
    seeds: dict[str, list] = {}
    with _replacing_folder(folder) as temporary:
        for cell_paths in begun_cells(paths):
            cell = read_cell(cell_paths)
            seconds_of = _clock(cell_paths)
            for member, series in series_of(cell_paths).items():
                key = cell.config.id, cell.first + member
                values = settings[key]
                place = temporary / names[key]
                write_events(place, series, seconds_of, hyperparameters=values)
                point = names[key].rsplit(", seed ", 1)[0]
                seeds.setdefault(point, []).append((seconds_of, series))
        if not seeds:
            raise UserError(f"nothing is stored in {paths.root} yet")
        for point, of_seeds in seeds.items():
            if len(of_seeds) > 1:
                found = bands([series for _, series in of_seeds])
                place = temporary / f"{point}, {len(of_seeds)} seeds"
                write_events(place, found, of_seeds[0][0], charts=charts(found))
    return folder


def _hyperparameters(members: pd.DataFrame) -> dict[tuple[str, int], dict[str, Any]]:
    """(cell, member) -> the settings that vary in the run."""
    names = [
        str(name)
        for name in members
        if name not in ("cell", "member", "label")
        and members[name].nunique(dropna=False) > 1
    ]
    rows = members.to_dict("records")
    return {
        (row["cell"], row["member"]): {
            name: row[name] for name in names if pd.notna(row[name])
        }
        for row in rows
    }


def _clock(paths: CellPaths) -> Callable[[np.ndarray], np.ndarray]:
    """Steps -> when they were stored, in seconds since 1970. Reads the times once.

    Each part of the metrics was written at its last step, so its file has that step's
    time. Steps in between are interpolated. The files of a copied run have the time of
    the copy.
    """
    start = min(path.stat().st_mtime for path in paths.root.iterdir())
    ends = {0: start} | part_times(paths.metrics)
    last, times = list(ends), list(ends.values())
    return lambda steps: np.interp(steps, last, times)


def run_names(members: pd.DataFrame) -> pd.Series:
    """(cell, member) -> the member's name in TensorBoard: ``none/lr 0.1, seed 0``.

    Args:
      members: the table from `normlab.store.load.members`.
    """
    named = with_names(members).set_index(["cell", "member"])
    seeds = named["seed"].astype(str)
    return named["setting"] + "/" + named["point"] + ", seed " + seeds


def _check_replaceable(folder: Path) -> None:
    """Checks that ``folder`` is missing, empty, or an export, so it may be replaced."""
    if not exists(folder):
        return
    others = (p for p in folder.rglob("*") if p.name != FILE_NAME and not p.is_dir())
    if not folder.is_dir() or next(others, None):
        raise UserError(
            f"{folder} contains files that are not a TensorBoard export; choose "
            "another --out"
        )


@contextlib.contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder, which replaces ``folder`` once it is complete.

    Raises:
      UserError: the disk is full, or the folder cannot be written.
    """
    temporary, old = (
        folder.with_name(f".{folder.name}.{os.getpid()}.{word}.tmp")
        for word in ("new", "old")
    )
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            os.rename(folder, old)
        os.rename(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
