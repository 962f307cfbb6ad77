"""What a sweep will do, computed before anything runs."""

import dataclasses
import logging
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp

from normlab import data
from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.data import Dataset
from normlab.errors import UserError
from normlab.members.platform import platform_here
from normlab.run_options import RunOptions
from normlab.store.provenance import check_names
from normlab.sweep.cell_plan import CellPlan, Later, Planner
from normlab.sweep.extended import extended
from normlab.sweep.grid import plan_size
from normlab.train.network import Network, build_network
from normlab.words import counted, plural

log = logging.getLogger(__name__)

# The CPU time for tracing before anything runs.
_TRACING_SECONDS = 3.0
_MOST_NAMED = 3  # cells, in a brief plan
_WIDTH = 80  # of a plan's lines


@dataclass(frozen=True)
class Plan:
    """The planned cells of a sweep.

    Attributes:
      executions: the executions that suit the cells, each with its reason.
      total: the number of cells, with those left out.
    """

    cells: tuple[CellPlan | Later, ...]
    executions: tuple[str, ...]
    total: int

    def text(self, verbose: bool = False) -> str:
        """The plan as readable lines of at most 80 characters.

        Args:
          verbose: whether to say how members run and what memory they need.
        """
        if not verbose:
            return "\n".join(map(_folded, [self._head, *self._brief]))
        lines = [
            self._head,
            *(f"execution: {each}" for each in self.executions),
            *(f"  {plan.line}" for plan in self.cells),
        ]
        # Mostly one reason for all cells.
        planned = (plan for plan in self.cells if isinstance(plan, CellPlan))
        reasons = dict.fromkeys(plan.member_chunk_why for plan in planned)
        lines += [f"at once: {reason}" for reason in reasons]
        return "\n".join(map(_folded, lines))

    @property
    def _head(self) -> str:
        """How much it is, with the words for it."""
        cells = tuple(plan.cell for plan in self.cells)
        members, steps = plan_size(cells)
        some = f"{len(cells)} of " * (len(cells) < self.total)
        sizes = {cell.config.batch_size for cell in cells}
        # Cells that differ in it have it in their names.
        size = f" of batch size {max(sizes)}" if len(sizes) == 1 else ""
        return (
            f"plan: {members} {plural(members, 'network')} "
            f"({plural(members, 'member')}) in {some}{counted(self.total, 'program')} "
            f"({plural(self.total, 'cell')}), {steps:,} {plural(steps, 'step')}{size}"
        )

    @property
    def _brief(self) -> list[str]:
        """A line for each cell; of more than three, one line."""
        if len(self.cells) <= _MOST_NAMED:
            return [f"  {plan.size}" for plan in self.cells]
        names = ", ".join(plan.name for plan in self.cells[:_MOST_NAMED])
        sizes = {plan.size.removeprefix(plan.name) for plan in self.cells}
        each = f"{sizes.pop()} each" if len(sizes) == 1 else ""
        return [f"  {names} and {len(self.cells) - _MOST_NAMED} more{each}"]


def _folded(line: str) -> str:
    """``line``, continued below if it is too long. Names are not broken."""
    return textwrap.fill(
        line,
        _WIDTH,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def sweep_cells(
    config: SweepConfig, options: RunOptions, before: Sequence[SweepConfig] = ()
) -> tuple[Cell, ...]:
    """The cells of a sweep. Loads the datasets, but does not touch the devices.

    Args:
      before: the configurations that ``config`` extends, the first one first.

    Raises:
      UserError: the sweep asks for something that does not exist.
    """
    check_names(config)
    return _expand(config, _datasets(config, options), before)


def make_plan(
    config: SweepConfig,
    options: RunOptions,
    only: Collection[str] | None = None,
    before: Sequence[SweepConfig] = (),
) -> Plan:
    """The plan of a sweep. Loads the datasets and traces shapes.

    It spends a few seconds on this, however many cells there are. Cells that are alike
    share what is traced. If time runs out, the other cells are planned when their turn
    comes; the first cells that are traced show every value of every axis, so most
    mistakes are found here.

    It compiles only if a bound on a cell's memory excludes members. Then the compiler
    measures the memory.

    Args:
      only: the ids of the cells to plan, at least one; all by default.
      before: the configurations that ``config`` extends, the first one first.

    Raises:
      UserError: anything that would stop a cell from running.
    """
    datasets = _datasets(config, options)
    cells = _expand(config, datasets, before)
    selected = [cell for cell in cells if only is None or cell.id in only]
    planner = Planner(cells, selected, datasets, options)
    asked = "" if options.conv == "auto" else f", with --conv={options.conv}"
    rules = (planner.rule(cell) for cell in selected)
    if options.conv == "pallas" and platform_here() == "cpu":
        log.warning("--conv=pallas: on a CPU, this GPU kernel is interpreted, slowly")
    executions = dict.fromkeys(f"{way.execution} ({why}{asked})" for way, why in rules)
    planner.trace(_TRACING_SECONDS)
    plans = tuple(map(planner.plan_or_later, selected))
    _check_widths(selected, datasets)
    return Plan(plans, tuple(executions), len(cells))


def _check_widths(cells: Sequence[Cell], datasets: Mapping[str, Dataset]) -> None:
    """Raises UserError if two widths are rounded to the same channels.

    A larger width never has fewer channels in any layer. So if two networks have the
    same number of parameters, they are the same.
    """
    networks: dict[tuple[str, str], dict[float, Cell]] = {}
    for cell in cells:
        key = cell.config.model, cell.config.dataset
        networks.setdefault(key, {}).setdefault(cell.config.width, cell)
    for (model, _), by_width in networks.items():
        seen: dict[int, float] = {}
        for width, cell in by_width.items() if len(by_width) > 1 else ():
            plain = dataclasses.replace(cell.config, norm="none")
            network = build_network(plain, datasets[plain.dataset])
            other = seen.setdefault(_parameters(network), width)
            if other != width:
                raise UserError(
                    f"--width={other},{width}: both are rounded to the same "
                    f"channels in {model}"
                )


def _parameters(network: Network) -> int:
    shapes = jax.eval_shape(network.initial, jax.ShapeDtypeStruct((), jnp.int32))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))


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


def run_folder(options: RunOptions, flagfile: str | None) -> Path:
    """``--out``, or runs/<name of the flagfile>."""
    if options.out:
        return Path(options.out)
    return Path("runs") / (Path(flagfile).stem if flagfile else "sweep")
