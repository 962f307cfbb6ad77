"""Writes all event files of a run, or none."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from normlab.errors import UserError
from normlab.figures.tables import with_names
from normlab.store.layout import RunPaths, exists
from normlab.store.links import check_links
from normlab.store.load import begun_cells, members
from normlab.store.run import read_cell
from normlab.tensorboard.events import FILE_NAME, check_installed, write_events
from normlab.tensorboard.series import series_of


def export_run(run: str | Path, out: str | Path | None = None) -> Path:
    """Exports a stored run to TensorBoard and replaces an earlier export.

    Args:
      run: a run directory; it may be unfinished.
      out: the output folder; RUN/tensorboard by default.

    Returns:
      The output folder, for ``tensorboard --logdir``. It has a folder for each cell,
      with a folder for each member, named by the settings that vary:
      ``batch/lr 0.001, seed 0``. Restart TensorBoard if it shows an earlier export.

    Raises:
      UserError: tensorboardX is not installed; ``run`` is not a run directory, is still
        empty, or has a damaged file; ``out`` contains other files or cannot be written.
    """
    check_installed()
    paths = RunPaths.at(run)
    check_links(paths)
    folder = RunPaths.at(out).root if out else paths.tensorboard
    _check_replaceable(folder)
    names = run_names(members(paths.root))
    written = 0
    with _replacing_folder(folder) as temporary:
        for cell_paths in begun_cells(paths):
            cell = read_cell(cell_paths)
            for member, series in series_of(cell_paths).items():
                name = names[cell.config.id, cell.first + member]
                write_events(temporary / name, series)
                written += 1
        if not written:
            raise UserError(f"nothing is stored in {paths.root} yet")
    return folder


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
