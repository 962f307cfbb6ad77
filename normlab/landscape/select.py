"""Selects the cells and members of a run by a command's flags."""

import dataclasses
from typing import Any

from normlab.cell import Cell, Member
from normlab.errors import UserError
from normlab.landscape.settings import LandscapeConfig
from normlab.statistics.intervals import number
from normlab.store.layout import CellPaths, RunPaths
from normlab.store.links import check_links
from normlab.store.load import begun_cells
from normlab.store.run import read_cell


def selected_cells(config: LandscapeConfig) -> list[tuple[CellPaths, Cell]]:
    """The cells that ``config`` selects, in the run's order.

    Raises:
      UserError: ``config.run`` is not a run directory, or has no such cell.
    """
    paths = RunPaths.at(config.run)
    check_links(paths)  # because results are stored in the run
    cells = [(cell_paths, read_cell(cell_paths)) for cell_paths in begun_cells(paths)]
    if not cells:
        raise UserError(f"nothing is stored in {paths.root} yet")
    for norm in config.norm:
        known = list(dict.fromkeys(cell.config.norm for _, cell in cells))
        if norm not in known:
            raise UserError(f"--norm={norm}: the run has {', '.join(known)}")
    for name in config.cell:
        if not any(cell.id.startswith(name) for _, cell in cells):
            known = ", ".join(cell.id for _, cell in cells)
            raise UserError(f"--cell={name}: no such cell; the run has {known}")
    return [
        (cell_paths, cell)
        for cell_paths, cell in cells
        if (not config.norm or cell.config.norm in config.norm)
        and (not config.cell or cell.id.startswith(config.cell))
    ]


def selected_members(cell: Cell, config: LandscapeConfig) -> list[int]:
    """Positions of the members that ``config`` selects.

    Settings that ``config`` leaves open are those of the cell's first member.

    Raises:
      UserError: the cell has no such member.
    """
    wanted: dict[str, tuple] = {"seed": config.seed, "lr": config.lr}
    for spec in dataclasses.fields(Member):
        first = getattr(cell.members[0], spec.name)
        wanted[spec.name] = wanted.get(spec.name) or (first,)
    for name, values in wanted.items():
        for value in values:
            _check(cell, name, name, value)
    return [
        i
        for i, member in enumerate(cell.members)
        if all(getattr(member, name) in values for name, values in wanted.items())
    ]


def origin_member(cell: Cell, member: int, config: LandscapeConfig) -> int:
    """Position of the member that ``--kind=between`` starts from.

    Raises:
      UserError: the cell has no such member.
    """
    changes = {"seed": config.from_seed, "lr": config.from_lr}
    changes = {name: value for name, value in changes.items() if value >= 0}
    for name, value in changes.items():
        _check(cell, f"from_{name}", name, value)
    return cell.members.index(dataclasses.replace(cell.members[member], **changes))


def _check(cell: Cell, flag: str, name: str, value: Any) -> None:
    known = dict.fromkeys(getattr(member, name) for member in cell.members)
    if value not in known:
        values = ", ".join(number(x) for x in known)
        raise UserError(f"--{flag}={number(value)}: members of {cell.id} have {values}")
