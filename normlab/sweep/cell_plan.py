"""How the members of a cell will be executed."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import jax

from normlab import data
from normlab.cell import Cell
from normlab.data import Dataset
from normlab.errors import UserError
from normlab.members.memory import (
    Footprint,
    available_bytes,
    choose_member_chunk,
    compiled_bytes,
    working_bytes,
)
from normlab.members.over import choose_conv
from normlab.members.placement import choose_devices
from normlab.run_options import RunOptions
from normlab.sweep.footprint import footprint_of, functions_of
from normlab.sweep.grid import names_of
from normlab.sweep.kinds import by_kind, kind_of
from normlab.train.program import Program, build_program, data_arrays
from normlab.words import counted

# The share of the free memory for the copies of the data, one for each core.
_COPIES_SHARE = 0.25


@dataclass(frozen=True)
class CellPlan:
    """A cell, and how its members will be executed.

    Attributes:
      build: makes its program, which is large.
      footprint: the memory of one member. It may be that of a similar cell which needs
        more.
    """

    cell: Cell
    name: str
    dataset: Dataset
    build: Callable[[], Program]
    footprint: Footprint
    execution: str
    member_chunk: int
    member_chunk_why: str
    devices: int = 1

    @cached_property
    def program(self) -> Program:
        """The cell's program. This plan keeps it; a copy (`now`) does not."""
        return self.build()

    def now(self) -> "CellPlan":
        """A copy, for the time in which the cell runs."""
        return dataclasses.replace(self)

    @property
    def device_bytes(self) -> int:
        """Bytes on the devices while the cell runs, with the copies of its data."""
        members_bytes = self.footprint.total(
            self.member_chunk, self.execution, self.devices
        )
        data_bytes = sum(x.nbytes for x in data_arrays(self.dataset).values())
        return members_bytes + self.devices * data_bytes

    @property
    def line(self) -> str:
        """The plan in one readable line."""
        return (
            f"{_size(self.name, self.cell)}, {self.member_chunk} at once on "
            f"{counted(self.devices, 'device')} ({self.member_chunk_why}), up to "
            f"{self.device_bytes / 2**20:.0f} MiB"
        )


@dataclass(frozen=True)
class Later:
    """A cell that is planned when its turn comes (`now`)."""

    cell: Cell
    name: str
    now: Callable[[], CellPlan]

    @property
    def line(self) -> str:
        return f"{_size(self.name, self.cell)}, planned when it starts"


def _size(name: str, cell: Cell) -> str:
    steps, members = counted(cell.config.steps, "step"), len(cell.members)
    return (
        f"{name}: {counted(members, 'member')} x {steps} of batch size "
        f"{cell.config.batch_size}"
    )


class Planner:
    """Plans cells of a sweep. Cells that are alike (`kind_of`) are traced once.

    Args:
      cells: all cells of the sweep.
      selected: those to plan.
      datasets: by name, whole.
    """

    def __init__(
        self,
        cells: tuple[Cell, ...],
        selected: Sequence[Cell],
        datasets: Mapping[str, Dataset],
        options: RunOptions,
        execution: str,
    ):
        self._names, self._datasets = names_of(cells), datasets
        self._options, self._execution = options, execution
        self._largest = by_kind(selected)
        self._bounds: dict[tuple, Footprint] = {}

    def trace(self, seconds: float) -> None:
        """Traces one cell of every kind, at least one, until CPU time runs out.

        Raises:
          UserError: one of the cells cannot run.
        """
        started = time.process_time()
        for kind in self._largest:
            self._bound(kind)
            if time.process_time() - started > seconds:
                break

    def plan_or_later(self, cell: Cell) -> CellPlan | Later:
        """The cell's plan, or the promise of one if nothing like it was traced."""
        if kind_of(cell) in self._bounds:
            return self.plan(cell)
        return Later(cell, self._names[cell.id], partial(self.plan, cell))

    def _bound(self, kind: tuple) -> Footprint:
        """The footprint of the largest cell of a kind, by an upper bound."""
        if kind not in self._bounds:
            self._bounds[kind] = self._footprint(self._largest[kind])
        return self._bounds[kind]

    def _footprint(self, cell: Cell, measured: bool = False) -> Footprint:
        count = compiled_bytes if measured else working_bytes
        program, dataset = self._build(cell), self._dataset(cell)
        try:
            functions = functions_of(program, cell, dataset, self._options.call_steps)
            return footprint_of(functions, count, measured)
        except ValueError as error:  # a norm that does not fit the model, say
            name, model = self._names[cell.id], cell.config.model
            raise UserError(f"{name} on {model}: {error}") from error

    def _dataset(self, cell: Cell) -> Dataset:
        whole = self._datasets[cell.config.dataset]
        return data.subset(whole, cell.config.train_size)

    def _build(self, cell: Cell) -> Program:
        conv = choose_conv(self._execution, jax.local_devices()[0].platform)
        return build_program(cell.config, self._dataset(cell), conv=conv)

    def plan(self, cell: Cell) -> CellPlan:
        """The cell's plan.

        Raises:
          UserError: the cell cannot run.
        """
        config, members = cell.config, len(cell.members)
        options, execution = self._options, self._execution
        name, dataset = self._names[cell.id], self._dataset(cell)
        stops = config.stop_diverged or bool(config.keep_best)
        auto = options.member_chunk == "auto"
        data_bytes = sum(x.nbytes for x in data_arrays(dataset).values())
        devices, available = _devices(options, members, execution, data_bytes)

        def chosen(footprint: Footprint) -> tuple[int, str]:
            return choose_member_chunk(
                options.member_chunk, members, footprint, execution, available, devices
            )

        kind = kind_of(cell)
        footprint = self._bound(kind)
        indices_bytes = 4 * options.call_steps * config.batch_size
        _check_fits(name, footprint.state + indices_bytes, available)

        def too_large() -> bool:
            few = chosen(footprint)[0] < members and auto and not stops
            return few or footprint.total(1, execution) > available

        if too_large() and self._largest[kind] != cell:
            footprint = self._footprint(cell)
        took = ""
        if too_large():
            # The bound counts arrays that never exist at once, so ask the compiler.
            started = time.monotonic()
            footprint = self._footprint(cell, measured=True)
            _check_fits(name, footprint.total(1, execution), available)
            took = f" in {time.monotonic() - started:.1f} s"
        member_chunk, why = chosen(footprint)
        if stops and execution != "vmap" and auto and not took:
            member_chunk, why = (
                min(devices, members),
                "auto: stopped members cost nothing",
            )
        why += took
        local = len(jax.local_devices())
        idle = devices < min(local, members) and options.devices == "auto"
        if idle and execution != "loop":
            why += (
                f"; using {devices} of {local} devices, because more would be idle or "
                "have no room for the data"
            )
        return CellPlan(
            cell,
            name,
            dataset,
            partial(self._build, cell),
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
