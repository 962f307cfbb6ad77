"""From a sweep's axes to its cells and their members."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from normlab.cell import Cell, CellConfig, Member
from normlab.config import LABEL_AXES, MEMBER_AXES, STATIC_AXES, SweepConfig
from normlab.data.tasks import task_of
from normlab.errors import UserError
from normlab.grouping import check
from normlab.models import LAYERS, MODELS
from normlab.norms import NORMS
from normlab.plugins import short
from normlab.settings import FIRST, named, settings_of
from normlab.train.losses import LOSSES
from normlab.train.measure import askable
from normlab.train.optimizers import OPTIMIZERS
from normlab.train.schedules import SCHEDULES
from normlab.words import counted

# Steps are 32-bit numbers.
_NEVER = 2**31 - 1
# Far beyond any real sweep. Working out more points would fill the memory.
_MOST_POINTS, _MOST_CELLS, _MOST_MEMBERS = 1_000_000, 10_000, 100_000


def expand(config: SweepConfig, sizes: Mapping[str, int]) -> tuple[Cell, ...]:
    """The cells of a sweep, in the order of its axes.

    Settings that a cell's norm does not read (for batch norm, the number of groups) do
    not multiply cells. They get the first value of their axis; ``groups`` gets None.
    The steps of regrouping are 0 if a norm's groups are not data, and settings of a
    layer that a model does not have are False.

    Args:
      config: the sweep.
      sizes: dataset -> the number of its training images.

    Raises:
      UserError: a norm, a schedule or a grouping is unknown, a grouping never happens
        or needs a missing package, no model has the layer that a setting is about, a
        batch or a subset is larger than the data, a batch cannot be split into parts, a
        warm-up is as long as the training, labels of a regression would be smoothed,
        successive halving is not well described, or there are far too many cells or
        members.
    """
    _check_layers(config)
    _check_labels(config)
    _check_halving(config)
    axes = [getattr(config, name) for name in STATIC_AXES]
    points = math.prod(map(len, axes))
    if points > _MOST_POINTS:
        raise _too_many(points, "combinations of static axes", _MOST_POINTS)
    configs: dict[CellConfig, None] = {}  # ordered, and each once
    for point in itertools.product(*axes):
        static = dict(zip(STATIC_AXES, point, strict=True))
        configs[_resolve(config, static, sizes[static["dataset"]])] = None
        if len(configs) > _MOST_CELLS:
            raise _too_many(points, "cells", _MOST_CELLS)
    cells, members = [], 0
    for cell_config in configs:
        cells.append(Cell(cell_config, _members(config, cell_config)))
        members += len(cells[-1].members)
        if members > _MOST_POINTS:
            raise _too_many(members, "members of all cells", _MOST_POINTS)
    return tuple(cells)


def _check_layers(config: SweepConfig) -> None:
    for axis, models in LAYERS.items():
        known = MODELS.keys() & set(config.model)
        if True in getattr(config, axis) and known and known.isdisjoint(models):
            raise UserError(
                f"--{axis}: no such layer in {', '.join(sorted(known))}; use a model "
                f"that has one: {', '.join(models)}"
            )


def _check_labels(config: SweepConfig) -> None:
    """Raises UserError if figures would show two norms by one name."""
    seen: dict[str, str] = {}
    for norm in config.norm:
        other = seen.setdefault(short(norm), norm)
        if other != norm:
            raise UserError(
                f"--norm={other},{norm}: figures would call both of them "
                f"{short(norm)}; rename one"
            )


def _check_halving(config: SweepConfig) -> None:
    if bool(config.keep_best) != bool(config.keep_best_at):
        raise UserError("--keep_best and --keep_best_at are only given together")
    _ = config.kept_share, config.rungs  # they check themselves


def _too_many(count: int, what: str, most: int) -> UserError:
    return UserError(f"{count:,} {what} are too many; the limit is {most:,}")


def _resolve(config: SweepConfig, static: dict, available: int) -> CellConfig:
    """The cell's configuration, with defaults and its length in steps filled in."""
    norm = static["norm"]
    static |= _unread(config, CellConfig, _reads(static))
    train_size = static["train_size"] or available
    if train_size > available:
        raise UserError(
            f"--train_size={train_size}: {static['dataset']} has {available} "
            "training images"
        )
    batch_size, out = static["batch_size"], static["validation"]
    trained_on = train_size - out
    if trained_on < 1:
        raise UserError(
            f"--validation={out}: leaves none of the {train_size} training images of "
            f"{static['dataset']}"
        )
    if batch_size > trained_on:
        raise UserError(
            f"--batch_size={batch_size}: larger than the {trained_on} training "
            f"images of {static['dataset']}"
        )
    accumulate, smoothing = static["accumulate"], static["label_smoothing"]
    if batch_size % accumulate:
        raise UserError(
            f"--accumulate={accumulate}: does not divide --batch_size={batch_size}"
        )
    if smoothing and LOSSES[task_of(static["dataset"])].right is None:
        raise UserError(
            f"--label_smoothing={smoothing}: {static['dataset']} is a regression, "
            "which has no labels"
        )
    static["train_size"] = train_size
    # Round first: 0.1 epochs of 1000 images in batches of 10 are 10 steps, not 11.
    length = math.ceil(round(config.epochs * trained_on / batch_size, 6))
    steps = config.steps or max(length, 1)
    if steps >= 2**31:  # steps are 32-bit numbers in the store
        raise UserError(f"--epochs={config.epochs}: {steps} steps are too many")
    if config.rungs and config.rungs[-1] >= steps:
        raise UserError(
            f"--keep_best_at={config.keep_best_at}: the training has only {steps} steps"
        )
    # Only a norm with running averages can be evaluated by several statistics.
    running = NORMS[norm].running
    statistics = config.eval_statistics if running else config.eval_statistics[:1]
    often = min(config.eval_epochs * trained_on / batch_size, _NEVER)
    eval_every = config.eval_every or max(math.ceil(round(often, 6)), 1)
    quantities = askable(config.quantities, norm, config.norm)
    same = {name: getattr(config, name) for name in named(CellConfig, axis=None)}
    resolved = {
        "steps": steps,
        "eval_every": eval_every,
        "quantities": quantities,
        "probe_every": (config.probe_every or eval_every) if quantities else 0,
        "train_eval_size": min(config.train_eval_size, trained_on),
        "eval_statistics": statistics,
    }
    return CellConfig(**static, **(same | resolved))


def _reads(static: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Registry -> the settings that the cell's entry in it reads.

    Raises:
      UserError: the norm, the optimizer or the schedule is unknown.
    """
    return {
        "norm": NORMS.find(static["norm"]).reads,
        "model": frozenset(k for k, v in LAYERS.items() if static["model"] in v),
        "optimizer": OPTIMIZERS.find(static["optimizer"]).reads,
        "schedule": SCHEDULES.find(static["schedule"]).reads,
    }


def _unread(
    config: SweepConfig, kind: type, reads: Mapping[str, frozenset[str]]
) -> dict[str, Any]:
    """The settings of ``kind`` that a cell does not read, with the values they get."""
    unread = {}
    for spec, setting in settings_of(kind):
        for registry, value in setting.read_by.items():
            if spec.name not in reads[registry]:
                first = getattr(config, spec.name)[0] if value is FIRST else value
                unread[spec.name] = first
    return unread


def _members(config: SweepConfig, cell_config: CellConfig) -> tuple[Member, ...]:
    """Seed by seed, so that members with the same batches are next to each other."""
    unread = _unread(config, Member, _reads(dataclasses.asdict(cell_config)))
    axes = {
        name: (unread[name],) if name in unread else getattr(config, name)
        for name in MEMBER_AXES
    }
    if "grouping" not in unread:
        grouping = axes["grouping"]
        check(grouping)
        if cell_config.regroup_at >= cell_config.steps and grouping != ("sequential",):
            raise UserError(
                f"--regroup_at={cell_config.regroup_at}: channels would never be "
                f"grouped in {cell_config.steps} steps"
            )
    longest = max(axes["warmup"])
    if longest and longest >= cell_config.steps:
        raise UserError(
            f"--warmup={longest}: the learning rate would never reach --lr in "
            f"{counted(cell_config.steps, 'step')}"
        )
    seeds = range(config.seed, config.seed + config.num_seeds)
    count = len(seeds) * math.prod(map(len, axes.values()))
    if count > _MOST_MEMBERS:
        raise _too_many(count, "members of a cell", _MOST_MEMBERS)
    points: Any = itertools.product(seeds, *axes.values())
    names = ("seed", *axes)
    return tuple(Member(**dict(zip(names, point, strict=True))) for point in points)


def plan_size(cells: Sequence[Cell]) -> tuple[int, int]:
    """(members, member-steps) of all cells together."""
    members = sum(len(cell.members) for cell in cells)
    return members, sum(cell.member_steps for cell in cells)


def names_of(cells: tuple[Cell, ...]) -> dict[str, str]:
    """Cell id -> its name, as in `describe`.

    An addition is told apart: ``batch (members from 4 on)``.
    """
    apart = _apart(tuple(cell.config for cell in cells))
    names = {cell.id: _words(cell.config, apart) for cell in cells}
    for cell in cells:
        if cell.first:
            names[cell.id] += f" (members from {cell.first} on)"
    return names


def describe(config: CellConfig, others: tuple[CellConfig, ...]) -> str:
    """What sets a cell apart in its sweep: ``group (G=4), batch_size 50``."""
    return _words(config, _apart(others))


def _apart(configs: tuple[CellConfig, ...]) -> list[str]:
    """The axes on which cells differ, besides those that their labels show."""
    names = [
        spec.name
        for spec in dataclasses.fields(CellConfig)
        if spec.name in STATIC_AXES and spec.name not in LABEL_AXES
    ]
    return [name for name in names if len({getattr(c, name) for c in configs}) > 1]


def _words(config: CellConfig, apart: Sequence[str]) -> str:
    return ", ".join([config.label, *(f"{k} {getattr(config, k)}" for k in apart)])
