"""What a sweep will do, worked out before anything is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp

from normlab import data
from normlab.cell import Cell
from normlab.config import RunOptions, SweepConfig
from normlab.data import Dataset
from normlab.errors import UserError
from normlab.sweep.grid import describe, expand, plan_size
from normlab.sweep.members import choose_mode
from normlab.sweep.memory import (
    Footprint,
    available_bytes,
    choose_chunk,
    tree_bytes,
    working_bytes,
)
from normlab.train.optimizers import HYPERPARAMETERS
from normlab.train.program import Program, build_program, data_arrays


@dataclass(frozen=True)
class CellPlan:
    """A cell, its program, and how its members will be executed."""

    cell: Cell
    name: str
    dataset: Dataset
    program: Program
    footprint: Footprint
    mode: str
    chunk: int
    chunk_why: str

    @property
    def device_bytes(self) -> int:
        """Bytes on the device while the cell runs, its data included."""
        own = self.footprint.total(self.chunk, self.mode)
        return own + sum(x.nbytes for x in data_arrays(self.dataset).values())


@dataclass(frozen=True)
class Plan:
    """All cells of a sweep."""

    cells: tuple[CellPlan, ...]
    mode_why: str

    @property
    def text(self) -> str:
        """The plan for people, several lines."""
        cells = tuple(plan.cell for plan in self.cells)
        members, steps = plan_size(cells)
        first = self.cells[0]
        lines = [
            f"plan: {len(cells)} cells, {members} members, {steps:,} member-steps",
            f"execution: {first.mode} ({self.mode_why})",
        ]
        for plan in self.cells:
            config = plan.cell.config
            lines.append(
                f"  {plan.name}: {len(plan.cell.members)} members x {config.steps} "
                f"steps of {config.batch_size}, {plan.chunk} at once "
                f"({plan.chunk_why}), up to {plan.device_bytes / 2**20:.0f} MiB"
            )
        return "\n".join(lines)


def make_plan(config: SweepConfig, options: RunOptions) -> Plan:
    """The plan of a sweep; it loads the datasets and traces shapes, no more.

    Raises:
      UserError: anything that would stop a cell from running.
    """
    folder = data.data_dir(options.data_dir or None)
    datasets = {name: data.load(name, folder) for name in config.dataset}
    cells = expand(config, {k: len(v.train_x) for k, v in datasets.items()})
    device = jax.devices()[0]
    mode, mode_why = choose_mode(options.execution, device.platform)
    available = available_bytes(device)
    plans = [
        _plan_cell(cell, cells, datasets, options, mode, available) for cell in cells
    ]
    return Plan(tuple(plans), mode_why)


def _plan_cell(
    cell: Cell,
    cells: tuple[Cell, ...],
    datasets: Mapping[str, Dataset],
    options: RunOptions,
    mode: str,
    available: int,
) -> CellPlan:
    config = cell.config
    dataset = data.subset(datasets[config.dataset], config.train_size)
    name = describe(config, tuple(other.config for other in cells))
    program = build_program(config, dataset)
    try:
        footprint = _footprint(program, cell, dataset, options.chunk_steps)
    except ValueError as error:  # a norm that does not fit the model, say
        raise UserError(f"{name} on {config.model}: {error}") from error
    chunk, why = choose_chunk(
        options.member_chunk, len(cell.members), footprint, mode, available
    )
    return CellPlan(cell, name, dataset, program, footprint, mode, chunk, why)


def _footprint(program: Program, cell: Cell, dataset: Dataset, room: int) -> Footprint:
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    indices = jax.ShapeDtypeStruct((room, cell.config.batch_size), jnp.int32)
    arrays = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype)
        for name, x in data_arrays(dataset).items()
    }
    state = jax.eval_shape(
        program.init, count, {name: scalar for name in HYPERPARAMETERS}
    )
    working = max(
        working_bytes(program.chunk, state, indices, count, arrays),
        working_bytes(program.evaluate, state, arrays),
    )
    return Footprint(state=tree_bytes(state), working=working)


def run_folder(options: RunOptions, flagfile: str | None) -> Path:
    """``--out``, or runs/<name of the flagfile>."""
    if options.out:
        return Path(options.out)
    return Path("runs") / (Path(flagfile).stem if flagfile else "sweep")
