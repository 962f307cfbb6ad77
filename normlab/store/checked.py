"""Checks a cell that was read from a file, which someone else may have written."""

import dataclasses
from pathlib import Path

from normlab.cell import Cell
from normlab.errors import UserError

# The longest name, in letters.
_LONGEST = 200


def check_values(path: Path, cell: Cell) -> None:
    """Names come from the file, so they are checked before they are used in paths.

    Raises:
      UserError: a name could be a path or a formula, or a number is far too large.
    """
    if not cell.members or cell.config.steps < 1:
        raise UserError(f"{path} is damaged: it has no members or no steps")
    if type(cell.first) is not int or not 0 <= cell.first < 2**31:
        raise UserError(f"{path} is damaged: first is {cell.first!r}")
    for part in (cell.config, *cell.members):
        for name, setting in dataclasses.asdict(part).items():
            for value in setting if isinstance(setting, tuple) else (setting,):
                if name == "keep_best":
                    value = value.replace("/", "", 1)  # 1/2
                if isinstance(value, str):
                    # The name of a file of data is never part of a path.
                    file = name == "dataset" and value.startswith(("npz:", "tfds:"))
                    odd = not value.isprintable()
                    odd = odd or set(value) & set("$" if file else "/\\$")
                    odd = odd or value.startswith(".") or len(value) > _LONGEST
                else:
                    odd = isinstance(value, int) and abs(value) >= 2**31
                if odd:
                    raise UserError(f"{path} is damaged: {name} is {value!r}")
