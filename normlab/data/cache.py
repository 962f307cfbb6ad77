"""The ``.npy`` cache: four arrays, and a marker for a complete cache.

The marker, ``cache.json``, is written last. Without it the folder counts as not
prepared.
Reading checks shapes, types and digests, also those of the arrays: a byte that the disk
lost would make every result wrong.
"""

import json
import os
from pathlib import Path

import numpy as np

from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

MARKER = "cache.json"


def is_there(folder: Path) -> bool:
    """Whether the folder has the marker of a complete cache."""
    return (folder / MARKER).is_file()


def is_intact(folder: Path, spec: Spec) -> bool:
    """Whether `read` would succeed."""
    try:
        read(folder, spec)
    except (UserError, OSError):
        return False
    return True


def read(folder: Path, spec: Spec) -> Arrays:
    """The four arrays, memory-mapped read-only.

    Raises:
      UserError: the marker or an array is missing, is damaged or belongs to other data.
    """
    try:
        digests = json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{folder / MARKER} is missing or damaged") from None
    if digests != dict(spec.digests):
        raise UserError(f"{folder} contains other data than the published {spec.name}")
    arrays = {n: _read_array(folder / f"{n}.npy") for n in spec.digests}
    fault = spec.fault(arrays)
    if fault is not None:
        raise UserError(f"{folder} is damaged: {fault}")
    return arrays


def _read_array(path: Path) -> np.ndarray:
    try:
        # Not np.load, which would also accept a zip or a pickle.
        array = np.lib.format.open_memmap(path, mode="r")
    # A header with odd values can fail anywhere.
    except Exception:
        raise UserError(f"{path} is missing, unreadable or cut short") from None
    # A plain view: jax and numpy treat it as any array, but its pages stay mapped.
    return array.view(np.ndarray)


def write(folder: Path, arrays: Arrays, spec: Spec, source: str, work: Path) -> None:
    """Writes the arrays to ``work``, then renames the files into ``folder``.

    Args:
      folder: created if it does not exist.
      arrays: arrays that were checked against ``spec``.
      source: where the data came from, for the marker.
      work: a folder on the same file system.

    Raises:
      OSError: the disk is full or the folder cannot be written. The cache then counts
        as not prepared.
    """
    marker = {"name": spec.name, "source": source, "sha256": dict(spec.digests)}
    files = {f"{name}.npy": arrays[name] for name in spec.digests}
    for file, array in files.items():
        np.save(work / file, array, allow_pickle=False)
    text = json.dumps(marker, indent=2) + "\n"
    (work / MARKER).write_text(text, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).unlink(missing_ok=True)
    for file in (*files, MARKER):  # the marker last
        # Otherwise a power failure could leave a name without data.
        with open(work / file, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(work / file, folder / file)
