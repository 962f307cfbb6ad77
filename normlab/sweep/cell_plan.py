"""How the members of a cell will be executed."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import jax

from normlab import data
from normlab.cell import Cell
from normlab.data import Dataset
from normlab.errors import UserError
from normlab.members.memory import (
    Footprint,
    choose_member_chunk,
    compiled_bytes,
    working_bytes,
)
from normlab.members.platform import platform_here
from normlab.models import widest
from normlab.run_options import RunOptions
from normlab.sweep.backend import cache_folder
from normlab.sweep.footprint import footprint_of, functions_of
from normlab.sweep.grid import names_of
from normlab.sweep.kinds import by_kind, kind_of
from normlab.sweep.room import check_fits, choose_room
from normlab.sweep.ways import Times, best_of, is_open, remembered, told
from normlab.train.cut import cut_of
from normlab.train.program import Program, build_program, data_arrays
from normlab.train.way import Way, choose_way
from normlab.words import counted


@dataclass(frozen=True)
class CellPlan:
    """A cell, and how its members will be executed.

    Attributes:
      name: what tells it from the other cells of the sweep.
      dataset: with the cell's training images only.
      build: makes its program, which is large.
      footprint: the memory of one member. It may be that of a similar cell which needs
        more.
      execution: ``vmap``, ``map`` or ``loop``.
      member_chunk, member_chunk_why: members on all devices at once, and the reason.
      devices: how many devices share them.
      conv: the form of the convolutions.
      times: the times by which the way was chosen, if it was.
      remembered: whether they are those of an earlier cell.
      is_open: whether the way may still be chosen by timing.
      again: the plan for another way.
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
    conv: str = "patches"
    times: Times = field(default_factory=dict)
    remembered: bool = False
    is_open: bool = False
    again: "Callable[[Way], CellPlan] | None" = None

    @property
    def way(self) -> Way:
        return Way(self.execution, self.conv)

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
    def size(self) -> str:
        """How much is trained: ``none: 12 members x 240 steps``."""
        return _size(self.name, self.cell)

    @property
    def line(self) -> str:
        """The plan in one readable line."""
        return (
            f"{self.size}, {self.member_chunk} at once on "
            f"{counted(self.devices, 'device')}, up to "
            f"{self.device_bytes / 2**20:.0f} MiB"
            f"{self._parts}{'; ' if self.times else ''}{self.choice}"
        )

    @property
    def _parts(self) -> str:
        """That a batch is computed in parts, if it is."""
        parts = cut_of(self.cell.config, self.conv)
        return f"; batches in {parts} parts" if parts > 1 else ""

    @property
    def choice(self) -> str:
        """What was chosen by timing, and by what numbers; "" if nothing was timed."""
        if not self.times:
            return ""
        of = " an earlier cell" if self.remembered else ""
        return f"{self.way_at_once}, by timing{of}: {told(self.times)}"

    @property
    def way_at_once(self) -> str:
        """The way, with the number of members at once if it was chosen by timing."""
        some = self.way._replace(at_once=self.member_chunk)
        return str(some if some in self.times else self.way)


@dataclass(frozen=True)
class Later:
    """A cell that is planned when its turn comes (`now`)."""

    cell: Cell
    name: str
    now: Callable[[], CellPlan]

    @property
    def size(self) -> str:
        return _size(self.name, self.cell)

    @property
    def line(self) -> str:
        return f"{self.size}, planned when it starts"


def _size(name: str, cell: Cell) -> str:
    steps, members = counted(cell.config.steps, "step"), len(cell.members)
    return f"{name}: {counted(members, 'member')} x {steps}"


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
    ):
        self._names, self._datasets = names_of(cells), datasets
        self._options, self._folder = options, cache_folder(options)
        self._largest = by_kind(selected)
        # By kind and form of the convolution.
        self._bounds: dict[tuple, Footprint] = {}

    def trace(self, seconds: float) -> None:
        """Traces one cell of every kind, at least one, until CPU time runs out.

        Raises:
          UserError: one of the cells cannot run.
        """
        started = time.process_time()
        for kind in self._largest:
            self._bound(kind, self._way(self._largest[kind])[0])
            if time.process_time() - started > seconds:
                break

    def plan_or_later(self, cell: Cell) -> CellPlan | Later:
        """The cell's plan, or the promise of one if nothing like it was traced."""
        if (kind_of(cell), self._way(cell)[0].conv) in self._bounds:
            return self.plan(cell)
        return Later(cell, self._names[cell.id], partial(self.plan, cell))

    def _way(self, cell: Cell) -> tuple[Way, Times]:
        """The way of a cell, and the times by which it was chosen, if it was."""
        times = remembered(cell, self._options, self._folder)
        return (best_of(times) if times else self.rule(cell)[0]), times

    def rule(self, cell: Cell) -> tuple[Way, str]:
        """(the way of a cell that is taken without timing, the reason)."""
        options, config = self._options, cell.config
        most = widest(config.model, config.width)
        return choose_way(options.execution, options.conv, platform_here(), most)

    def _bound(self, kind: tuple, way: Way) -> Footprint:
        """The footprint of the largest cell of a kind, by an upper bound."""
        key = kind, way.conv
        if key not in self._bounds:
            self._bounds[key] = self._footprint(self._largest[kind], way)
        return self._bounds[key]

    def _footprint(self, cell: Cell, way: Way, measured: bool = False) -> Footprint:
        count = compiled_bytes if measured else working_bytes
        program, dataset = self._build(cell, way), self._dataset(cell)
        try:
            functions = functions_of(program, cell, dataset, self._options.call_steps)
            return footprint_of(functions, count, measured)
        except ValueError as error:  # a norm that does not fit the model, say
            name, model = self._names[cell.id], cell.config.model
            raise UserError(f"{name} on {model}: {error}") from error

    def _dataset(self, cell: Cell) -> Dataset:
        whole = self._datasets[cell.config.dataset]
        return data.subset(whole, cell.config.train_size)

    def _build(self, cell: Cell, way: Way) -> Program:
        return build_program(cell.config, self._dataset(cell), conv=way.conv)

    def plan(self, cell: Cell, way: Way | None = None) -> CellPlan:
        """The cell's plan.

        Args:
          way: how its members are run; by default as the options say, or as was found
            for cells like it.

        Raises:
          UserError: the cell cannot run.
        """
        config, members = cell.config, len(cell.members)
        options, asked = self._options, way
        way, times = (way, {}) if way else self._way(cell)
        execution = way.execution
        name, dataset = self._names[cell.id], self._dataset(cell)
        stops = config.stop_diverged or bool(config.keep_best)
        auto = options.member_chunk == "auto"
        data_bytes = sum(x.nbytes for x in data_arrays(dataset).values())
        devices, available = choose_room(options, members, execution, data_bytes)

        def chosen(footprint: Footprint) -> tuple[int, str]:
            return choose_member_chunk(
                options.member_chunk, members, footprint, execution, available, devices
            )

        kind = kind_of(cell)
        footprint = self._bound(kind, way)
        indices_bytes = 4 * options.call_steps * config.batch_size
        check_fits(name, footprint.state + indices_bytes, available)

        def too_large() -> bool:
            few = chosen(footprint)[0] < members and auto and not stops
            return few or footprint.total(1, execution) > available

        if too_large() and self._largest[kind] != cell:
            footprint = self._footprint(cell, way)
        took = ""
        if too_large():
            # The bound counts arrays that never exist at once, so ask the compiler.
            started = time.monotonic()
            footprint = self._footprint(cell, way, measured=True)
            check_fits(name, footprint.total(1, execution), available)
            took = f" in {time.monotonic() - started:.1f} s"
        member_chunk, why = chosen(footprint)
        if stops and execution != "vmap" and auto and not took:
            member_chunk = min(devices, members)
            why = "auto: stopped members cost nothing"
        why += took
        if 0 < way.at_once < member_chunk:
            member_chunk = way.at_once
            why += "; fewer at once are faster, by timing"
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
            partial(self._build, cell, way),
            footprint,
            execution,
            member_chunk,
            why,
            min(devices, member_chunk),
            way.conv,
            times,
            bool(times),
            not (asked or times) and is_open(cell, options),
            partial(self.plan, cell),
        )
