"""The steps of a cell's members, timed under every way to run them."""

import statistics
import time
from dataclasses import dataclass

import jax
import numpy as np

from normlab.bench.images import SHAPED_LIKE
from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.data import Dataset
from normlab.run_options import RunOptions
from normlab.store.provenance import check_names
from normlab.sweep.cell_plan import CellPlan, Planner
from normlab.sweep.decide import seconds_of_step
from normlab.sweep.grid import expand
from normlab.sweep.populate import make_population
from normlab.sweep.population import Population
from normlab.sweep.ways import best_of, half_at_once, time_all
from normlab.train.way import Way


@dataclass(frozen=True)
class Timed:
    """What was measured.

    Attributes:
      rule: the way that a sweep takes without timing.
      auto: the way that it takes after timing, as it was found in a run of its own.
      ms: way -> milliseconds of a step of all members, for every timed run.
      compile_seconds: way -> seconds of compiling.
      parameters: parameters of a network.
    """

    rule: str
    auto: str
    ms: dict[str, list[float]]
    compile_seconds: dict[str, float]
    parameters: int

    def median(self, way: str) -> float:
        """Milliseconds of a step of all members."""
        return statistics.median(self.ms[way])

    @property
    def loss(self) -> float:
        """The time of auto's way, divided by that of the fastest one."""
        return self.median(self.auto) / min(map(self.median, self.ms))


def make_cell(
    model: str, norm: str, batch_size: int, members: int, precision: str, optimizer: str
) -> Cell:
    """A cell of one seed, with learning rates from 1e-4 to 1e-2.

    Raises:
      UserError: a name is unknown.
    """
    config = SweepConfig(
        dataset=(SHAPED_LIKE,),
        model=(model,),
        norm=(norm,),
        batch_size=(batch_size,),
        precision=(precision,),
        optimizer=(optimizer,),
        lr=tuple(np.logspace(-4, -2, members).tolist()),
        num_seeds=1,
        steps=10_000,
    )
    check_names(config)
    (cell,) = expand(config, {SHAPED_LIKE: 5000})
    return cell


def time_ways(
    cell: Cell, dataset: Dataset, options: RunOptions, repeats: int, seconds: float
) -> Timed:
    """Times every way in turns, after a choice among them as a sweep makes it.

    Args:
      repeats: timed runs of every way, alternating.
      seconds: about how long a run takes.
    """
    planner = Planner((cell,), [cell], {SHAPED_LIKE: dataset}, options)
    plan, members = planner.plan(cell), len(cell.members)
    plans: dict[Way, CellPlan] = {}
    running: dict[Way, Population] = {}

    def seconds_by(way: Way) -> float:
        plans[way] = planner.plan(cell, way)
        population = make_population(plans[way], options)
        step_seconds, _ = seconds_of_step(population, plans[way], options)
        running[way] = population
        return step_seconds

    def smaller(way: Way, timed: int) -> Way | None:
        del timed  # a benchmark has the time
        size, devices = plans[way].member_chunk, plans[way].devices
        return half_at_once(way, size, members, devices, options)

    first = {plan.way: seconds_by(plan.way)}
    found = time_all(first, options, seconds_by, smaller, members)
    ms: dict[str, list[float]] = {str(way): [] for way in running}
    for _ in range(repeats):
        for way, one in running.items():
            each = found[way] * members / 1e3
            count = max(1, min(options.call_steps, int(seconds / each)))
            calls = max(1, round(seconds / (each * count)))
            started = time.perf_counter()
            for _ in range(calls):
                one.train(1, count)
            took = time.perf_counter() - started
            ms[str(way)].append(1e3 * took / (calls * count))
    return Timed(
        str(plan.way),
        str(best_of(found)),
        ms,
        {str(way): one.compile_seconds for way, one in running.items()},
        _parameters(running[plan.way], members),
    )


def _parameters(population: Population, members: int) -> int:
    leaves = jax.tree.leaves(population.state().params)
    return sum(leaf.size for leaf in leaves) // members
