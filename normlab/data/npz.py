"""``--dataset=npz:FILE``: images and labels in a file that ``numpy.savez`` wrote."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from normlab.data.adopted import ARRAYS, from_arrays
from normlab.data.dataset import Dataset
from normlab.errors import UserError
from normlab.words import path_of


def entry(file: str, name: str) -> tuple[Any, dict[str, Any]]:
    """The entry of ``npz:FILE``, and the digest of the file, for the run's record.

    Raises:
      UserError: there is no such file.
    """
    path = path_of(file)
    try:
        if not path.is_file():
            raise UserError(f"--dataset={name}: there is no such file")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--dataset={name}: it cannot be read: {reason}") from error
    return functools.partial(_load, path, name), {"sha256": digest}


def _load(path: Path, name: str, data_dir: Path | None) -> Dataset:
    """The arrays train_x, train_y, test_x and test_y; and ``classes``, if it is there.

    Raises:
      UserError: the file is damaged, or an array is missing or is not what it must be.
    """
    del data_dir
    wanted = (*ARRAYS, "classes")
    try:
        with np.load(path, allow_pickle=False) as file:
            there = set(getattr(file, "files", ()))
            arrays: dict[str, Any] = {key: file[key] for key in wanted if key in there}
    # A damaged file can fail anywhere. A single array has no names.
    except Exception as error:
        raise UserError(
            f"--dataset={name}: it is not a file of arrays that numpy.savez wrote "
            f"({str(error) or type(error).__name__})"
        ) from error
    missing = [key for key in ARRAYS if key not in arrays]
    if missing:
        known = ", ".join(sorted(there)) or "none"
        raise UserError(
            f"--dataset={name}: it has no array {missing[0]} (its arrays: {known})"
        )
    return from_arrays(name, arrays)
