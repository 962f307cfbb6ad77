"""Datasets that were prepared once, memory-mapped from their folder.

Loading needs only NumPy. `normlab.data.prepare` makes the folder.
"""

import shlex
from pathlib import Path

from normlab.data import cache, folders
from normlab.data.dataset import Dataset
from normlab.data.spec import Spec
from normlab.errors import UserError


def load(spec: Spec, data_dir: Path | None = None) -> Dataset:
    """The prepared dataset. The images stay on disk until they are used.

    Args:
      spec: what the folder must contain.
      data_dir: the data folder; by default the one of `folders.data_dir`.

    Raises:
      UserError: it is not prepared, or is damaged. The message has a command to run.
    """
    command = f"python -m normlab.data --prepare={spec.name}"
    if data_dir is not None:
        command += f" --data_dir={shlex.quote(str(data_dir))}"
    folder = folders.data_dir(data_dir) / spec.name
    if not cache.is_there(folder):
        raise UserError(
            f"{spec.name} is not prepared in {folder}; to prepare it: {command}"
        )
    try:
        arrays = cache.read(folder, spec)
    except UserError as error:
        raise UserError(f"{error}; to repair it: {command}") from error
    return Dataset(
        name=spec.name, classes=spec.classes, task="classification", **arrays
    )
