"""The ``.npy`` cache: four arrays and a marker that says they are whole.

The marker, ``cache.json``, is written last: without it the folder counts as not
prepared. Reading checks shapes, types and digests, those of the arrays, too: a byte
that a disk lost would be a wrong number in every result.
"""

import json
import os
from pathlib import Path

import numpy as np

from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

MARKER = "cache.json"


def is_there(folder: Path) -> bool:
    """Whether the folder claims to hold a finished cache."""
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
      UserError: the marker or an array is missing, damaged or of other data.
    """
    try:
        digests = json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{folder / MARKER} is missing or damaged") from None
    if digests != dict(spec.digests):
        raise UserError(f"{folder} holds other data than the published {spec.name}")
    arrays = {n: _read_array(folder / f"{n}.npy") for n in spec.digests}
    fault = spec.fault(arrays)
    if fault is not None:
        raise UserError(f"{folder} is damaged: {fault}")
    return arrays


def _read_array(path: Path) -> np.ndarray:
    try:
        # Not np.load: that takes a zip or a pickle for arrays, too.
        array = np.lib.format.open_memmap(path, mode="r")
    # A header that claims odd things fails anywhere.
    except Exception:
        raise UserError(f"{path} is missing, unreadable or cut short") from None
    # A plain view: jax and numpy treat it as any array, the pages stay mapped.
    return array.view(np.ndarray)


def write(folder: Path, arrays: Arrays, spec: Spec, source: str, work: Path) -> None:
    """Writes the arrays to ``work``, then renames them into ``folder``.

    Args:
      folder: made when it is not there.
      arrays: already checked against ``spec``.
      source: where the data came from, for the marker.
      work: a folder on the same file system.

    Raises:
      OSError: the disk is full or the folder cannot be written; the cache then
        counts as not prepared.
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
        # Else a power failure may leave a name without data.
        with open(work / file, "rb") as written:
            os.fsync(written.fileno())
        os.replace(work / file, folder / file)
