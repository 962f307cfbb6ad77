"""What a sweep will do, computed before anything runs."""

import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from normlab import data
from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.data import Dataset
from normlab.errors import UserError
from normlab.members.memory import (
    Footprint,
    available_bytes,
    choose_member_chunk,
    compiled_bytes,
    tree_bytes,
    working_bytes,
)
from normlab.members.over import choose_conv, choose_execution
from normlab.members.placement import choose_devices
from normlab.run_options import RunOptions
from normlab.store.provenance import load_plugins
from normlab.sweep.extended import extended
from normlab.sweep.footprint import footprint_of, functions_of
from normlab.sweep.grid import name_of, plan_size
from normlab.train.program import Program, build_program, data_arrays
from normlab.words import counted, plural

# The share of the free memory for the copies of the data, one for each core.
_COPIES_SHARE = 0.25


@dataclass(frozen=True)
class CellPlan:
    """A cell, its program, and how its members will be executed."""

    cell: Cell
    name: str
    dataset: Dataset
    program: Program
    footprint: Footprint
    execution: str
    member_chunk: int
    member_chunk_why: str
    devices: int = 1

    @property
    def device_bytes(self) -> int:
        """Bytes on the devices while the cell runs, with the copies of its data."""
        members_bytes = self.footprint.total(
            self.member_chunk, self.execution, self.devices
        )
        data_bytes = sum(x.nbytes for x in data_arrays(self.dataset).values())
        return members_bytes + self.devices * data_bytes


@dataclass(frozen=True)
class Plan:
    """The planned cells of a sweep. ``total`` also counts the cells left out."""

    cells: tuple[CellPlan, ...]
    execution_why: str
    total: int

    @property
    def text(self) -> str:
        """The plan as several readable lines."""
        cells = tuple(plan.cell for plan in self.cells)
        members, steps = plan_size(cells)
        first = self.cells[0]
        some = f"{len(cells)} of " * (len(cells) < self.total)
        lines = [
            f"plan: {some}{counted(self.total, 'cell')}, {counted(members, 'member')}, "
            f"{steps:,} {plural(steps, 'member-step')}",
            f"execution: {first.execution} ({self.execution_why})",
        ]
        for plan in self.cells:
            config = plan.cell.config
            lines.append(
                f"  {plan.name}: {counted(len(plan.cell.members), 'member')} x "
                f"{counted(config.steps, 'step')} of batch size {config.batch_size}, "
                f"{plan.member_chunk} at once on {counted(plan.devices, 'device')} "
                f"({plan.member_chunk_why}), up to {plan.device_bytes / 2**20:.0f} MiB"
            )
        return "\n".join(lines)


def sweep_cells(
    config: SweepConfig, options: RunOptions, before: Sequence[SweepConfig] = ()
) -> tuple[Cell, ...]:
    """The cells of a sweep. Loads the datasets, but does not touch the devices.

    Args:
      before: the configurations that ``config`` extends, the first one first.

    Raises:
      UserError: the sweep asks for something that does not exist.
    """
    load_plugins(config)
    return _expand(config, _datasets(config, options), before)


def make_plan(
    config: SweepConfig,
    options: RunOptions,
    only: Collection[str] | None = None,
    before: Sequence[SweepConfig] = (),
) -> Plan:
    """The plan of a sweep. Loads the datasets and traces shapes.

    Args:
      only: the ids of the cells to plan, at least one; all by default.
      before: the configurations that ``config`` extends, the first one first.

    It compiles only if a bound on a cell's memory excludes members. Then the compiler
    measures the memory.

    Raises:
      UserError: anything that would stop a cell from running.
    """
    datasets = _datasets(config, options)
    cells = _expand(config, datasets, before)
    execution, execution_why = choose_execution(
        options.execution, jax.local_devices()[0].platform
    )
    plans = [
        _plan_cell(cell, cells, datasets, options, execution)
        for cell in cells
        if only is None or cell.id in only
    ]
    _check_widths(plans)
    return Plan(tuple(plans), execution_why, len(cells))


def _check_widths(plans: Sequence[CellPlan]) -> None:
    """Raises UserError if two widths are rounded to the same channels.

    A larger width never has fewer channels in any layer. So if two states have the same
    number of bytes, the networks are the same.
    """
    seen: dict[tuple, float] = {}
    for plan in plans:
        config = plan.cell.config
        alike = dataclasses.replace(config, width=1.0), plan.footprint.state
        other = seen.setdefault(alike, config.width)
        if other != config.width:
            raise UserError(
                f"--width={other},{config.width}: both are rounded to the same "
                f"channels in {config.model}"
            )


def _datasets(config: SweepConfig, options: RunOptions) -> dict[str, Dataset]:
    folder = data.data_dir(options.data_dir or None)
    return {name: data.load(name, folder) for name in config.dataset}


def _expand(
    config: SweepConfig,
    datasets: Mapping[str, Dataset],
    before: Sequence[SweepConfig],
) -> tuple[Cell, ...]:
    sizes = {k: len(v.train_x) for k, v in datasets.items()}
    return extended(before, config, sizes)


def _plan_cell(
    cell: Cell,
    cells: tuple[Cell, ...],
    datasets: Mapping[str, Dataset],
    options: RunOptions,
    execution: str,
) -> CellPlan:
    config, members = cell.config, len(cell.members)
    dataset = data.subset(datasets[config.dataset], config.train_size)
    name = name_of(cell, cells)
    stops = config.stop_diverged or bool(config.keep_best)
    platform = jax.local_devices()[0].platform
    program = build_program(config, dataset, conv=choose_conv(execution, platform))
    try:
        functions = functions_of(program, cell, dataset, options.call_steps)
        footprint = footprint_of(functions, working_bytes)
    except ValueError as error:  # a norm that does not fit the model, say
        raise UserError(f"{name} on {config.model}: {error}") from error
    data_bytes = sum(x.nbytes for x in data_arrays(dataset).values())
    devices, available = _devices(options, members, execution, data_bytes)

    def chosen(footprint: Footprint) -> tuple[int, str]:
        return choose_member_chunk(
            options.member_chunk, members, footprint, execution, available, devices
        )

    _, (_, indices, *_) = functions[0]
    _check_fits(name, footprint.state + tree_bytes(indices), available)
    member_chunk, why = chosen(footprint)
    if stops and execution != "vmap" and options.member_chunk == "auto":
        member_chunk, why = min(devices, members), "auto: stopped members cost nothing"
    alone = footprint.total(1, execution)
    few = member_chunk < members and options.member_chunk == "auto" and not stops
    if alone > available or few:
        # The bound counts arrays that never exist at once, so ask the compiler.
        started = time.monotonic()
        footprint = footprint_of(functions, compiled_bytes, measured=True)
        _check_fits(name, footprint.total(1, execution), available)
        member_chunk, why = chosen(footprint)
        why = f"{why} in {time.monotonic() - started:.1f} s"
    local = len(jax.local_devices())
    if (
        execution != "loop"
        and options.devices == "auto"
        and devices < min(local, members)
    ):
        why += (
            f"; using {devices} of {local} devices, because more would be idle or "
            "have no room for the data"
        )
    return CellPlan(
        cell,
        name,
        dataset,
        program,
        footprint,
        execution,
        member_chunk,
        why,
        min(devices, member_chunk),
    )


def _check_fits(name: str, needed: int, available: int) -> None:
    """Raises UserError if one member needs more bytes than are available.

    If such a cell ran anyway, the system would run out of memory and kill this process
    or others.
    """
    if needed > available:
        raise UserError(
            f"{name}: one member needs {needed / 2**30:.1f} GiB, but only "
            f"{available / 2**30:.1f} GiB are free; a smaller --width, --batch_size, "
            "--eval_batch_size, --call_steps or --probe_... needs less"
        )


def _devices(
    options: RunOptions, members: int, execution: str, data_bytes: int
) -> tuple[int, int]:
    """(devices that share the members, bytes free on them after the data's copies)."""
    local = jax.local_devices()
    cpu = local[0].platform == "cpu"
    most = len(local)
    if cpu and options.devices == "auto":
        # Each core's copy of the data takes memory that all cores share.
        free_bytes = _COPIES_SHARE * available_bytes(local, options.deterministic)
        most = min(most, max(1, int(free_bytes / max(data_bytes, 1))))
    devices = choose_devices(
        options.devices, members, most, local[0].platform, execution
    )
    free = available_bytes(local[:devices], options.deterministic)
    free -= devices * data_bytes
    return devices, max(free, 0)


def run_folder(options: RunOptions, flagfile: str | None) -> Path:
    """``--out``, or runs/<name of the flagfile>."""
    if options.out:
        return Path(options.out)
    return Path("runs") / (Path(flagfile).stem if flagfile else "sweep")
