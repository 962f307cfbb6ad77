"""What killed writes left behind, removed by whoever holds the lock."""

import shutil
from pathlib import Path

from normlab.store.layout import CellPaths, is_temporary

# Orbax writes a step under another name, and renames it when it is whole.
_ORBAX = ".orbax-checkpoint-tmp"


def remove_temporaries(folder: Path) -> None:
    """Removes the half-written files of ``folder``, and of no folder below it."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if is_temporary(entry):
                entry.unlink(missing_ok=True)


def remove_leftovers(paths: CellPaths) -> None:
    """Removes what half-written files and states training left in a cell.

    The analyses of a cell and its landscapes are left alone: others write them.
    """
    probes = paths.probes.iterdir() if paths.probes.is_dir() else ()
    for folder in (paths.root, paths.metrics, *probes):
        remove_temporaries(folder)
    for folder in (paths.checkpoints, paths.path):
        if folder.is_dir():
            for entry in folder.iterdir():
                if _ORBAX in entry.name:
                    shutil.rmtree(entry, ignore_errors=True)
