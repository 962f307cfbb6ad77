"""Removes what killed writes left behind. The caller must hold the lock."""

import shutil
from pathlib import Path

from normlab.store.layout import CellPaths, is_temporary

# Orbax writes a step under another name, and renames it when it is complete.
_ORBAX = ".orbax-checkpoint-tmp"


def remove_temporaries(folder: Path) -> None:
    """Removes half-written files from ``folder``, but not from folders below it."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if is_temporary(entry):
                entry.unlink(missing_ok=True)


def remove_leftovers(paths: CellPaths) -> None:
    """Removes half-written files and states of training from a cell.

    Analyses and landscapes are left alone, because other commands write them.
    """
    probes = paths.probes.iterdir() if paths.probes.is_dir() else ()
    for folder in (paths.root, paths.metrics, *probes):
        remove_temporaries(folder)
    for folder in (paths.checkpoints, paths.path):
        if folder.is_dir():
            for entry in folder.iterdir():
                if _ORBAX in entry.name:
                    shutil.rmtree(entry, ignore_errors=True)
