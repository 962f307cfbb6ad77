"""The cells of a run that was extended: those it had, and what is new."""

import dataclasses
from collections.abc import Mapping, Sequence

from normlab.cell import Cell, CellConfig
from normlab.config import MEMBER_AXES, STATIC_AXES, SweepConfig
from normlab.errors import UserError
from normlab.sweep.due import Due
from normlab.sweep.grid import expand

_LENGTH = ("steps", "epochs")


def extended(
    before: Sequence[SweepConfig], config: SweepConfig, sizes: Mapping[str, int]
) -> tuple[Cell, ...]:
    """The cells of ``config`` in a run that had the configurations ``before``.

    Members that are new in a cell are a cell of their own, an addition (`Cell.first`),
    which follows it. So whatever was stored stays as it was, and an addition is trained
    like any other cell. If ``before`` is empty these are the cells of `expand`.

    Args:
      before: the first one first. Each extended the one before it.
      sizes: as for `expand`.

    Raises:
      UserError: as for `expand`; or a configuration is not an extension of the one
        before it: something is missing or different in it, or the rest of a training
        depends on its length.
    """
    first, *later = (*before, config)
    cells = expand(first, sizes)
    for old, new in zip(before, later, strict=True):
        _check_settings(old, new)
        cells = _extend(cells, expand(new, sizes))
    return cells


def _check_settings(old: SweepConfig, new: SweepConfig) -> None:
    """Raises UserError if ``new`` differs from ``old`` in more than additions."""
    for spec in dataclasses.fields(SweepConfig):
        name = spec.name
        had, has = getattr(old, name), getattr(new, name)
        if name in STATIC_AXES or name in MEMBER_AXES:
            lost = [value for value in had if value not in has]
            if lost:
                raise UserError(
                    f"--extend: --{name}={lost[0]} is in the run, but not in the "
                    "flags; values can only be added"
                )
        elif had != has and name not in ("seed", "num_seeds", *_LENGTH):
            raise UserError(
                f"--extend: --{name} is {had} in the run and {has} in the flags; only "
                "values of an axis, seeds and steps can be added"
            )
    lost = set(_seeds(old)) - set(_seeds(new))
    if lost:
        raise UserError(
            f"--extend: seed {min(lost)} is in the run, but not in the flags; seeds "
            "can only be added"
        )


def _seeds(config: SweepConfig) -> range:
    return range(config.seed, config.seed + config.num_seeds)


def _extend(had: Sequence[Cell], wanted: Sequence[Cell]) -> tuple[Cell, ...]:
    parts: dict[CellConfig, list[Cell]] = {}
    for cell in had:
        parts.setdefault(_lasting(cell), []).append(cell)
    cells: list[Cell] = []
    for cell in wanted:
        kept = parts.pop(_lasting(cell), [])
        for part in kept:
            _check_length(part, cell)
            cells.append(dataclasses.replace(part, config=cell.config))
        known = {member for part in kept for member in part.members}
        if known - set(cell.members):
            raise UserError(f"--extend: {cell.id} would lose some of its members")
        new = tuple(member for member in cell.members if member not in known)
        if new and kept and cell.config.keep_best:
            raise UserError(
                "--extend: with --keep_best all members of a cell are compared, so "
                "none can be added later; train a new run"
            )
        if new:
            cells.append(Cell(cell.config, new, len(known)))
    if parts:
        lost = next(iter(parts.values()))[0]
        raise UserError(
            f"--extend: the flags do not ask for {lost.id} of the run any more; the "
            "first value of an axis must stay the first"
        )
    return tuple(cells)


def _lasting(cell: Cell) -> CellConfig:
    """The configuration without its length."""
    return dataclasses.replace(cell.config, steps=1)


def _check_length(part: Cell, longer: Cell) -> None:
    """Raises UserError if a cell of another length would have trained differently."""
    end, steps = part.config.steps, longer.config.steps
    if steps < end:
        raise UserError(
            f"--extend: {part.id} has {end} steps, but the flags ask for {steps}; "
            "steps can only be added"
        )
    if steps == end:
        return
    # A schedule that decays until the last step takes other steps from the first on.
    schedule = getattr(part.config, "schedule", "constant")
    if schedule != "constant":
        raise UserError(
            f"--extend: --schedule={schedule} depends on the length of training, so "
            "steps cannot be added; train a new run"
        )
    if Due(dataclasses.replace(part, config=longer.config)).regroups(end):
        raise UserError(
            f"--extend: channels are regrouped at step {end}, where the run ended and "
            "was evaluated without that; steps cannot be added there"
        )
