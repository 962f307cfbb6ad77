"""Chooses how a cell's members are run, by timing, before its training begins."""

import dataclasses
import logging

from normlab.members.platform import platform_here
from normlab.run_options import RunOptions
from normlab.sweep.backend import cache_folder
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.due import Due
from normlab.sweep.populate import make_population
from normlab.sweep.population import Population
from normlab.sweep.quiet import is_quiet, spent
from normlab.sweep.ways import (
    best_of,
    half_at_once,
    is_worth_it,
    others,
    remember,
    seconds_in_turns,
    seconds_of,
    time_all,
)
from normlab.train.way import Way

log = logging.getLogger(__name__)


def decide(plan: CellPlan, options: RunOptions) -> tuple[CellPlan, Population]:
    """A plan whose way is settled, and its members, before their first step.

    If the way is open, and timing takes a small share of the training, it is the
    fastest one. Otherwise it is that of ``plan``, also if other programs kept the cores
    of a CPU busy meanwhile. While ways are timed, one copy of the
    data is on the devices, and the members of one way.
    """
    population = make_population(plan, options)
    if not plan.is_open:
        return plan, population
    plan, before = dataclasses.replace(plan, is_open=False), spent()
    cell, members = plan.cell, len(plan.cell.members)
    seconds, compiling = seconds_of_step(population, plan, options)
    again = plan.again
    if again is None or not is_worth_it(cell, seconds, compiling, others(options)):
        population.start()
        return plan, population
    del population  # its copy of the data, too: there is room for one
    plans = {plan.way: plan}

    def of_another(way: Way) -> float:
        plans[way] = again(way)
        return seconds_of_step(
            make_population(plans[way], options), plans[way], options
        )[0]

    def smaller(way: Way, timed: int) -> Way | None:
        if not is_worth_it(cell, seconds, compiling, timed):
            return None
        size, devices = plans[way].member_chunk, plans[way].devices
        return half_at_once(way, size, members, devices, options)

    times = time_all({plan.way: seconds}, options, of_another, smaller, members)
    if is_quiet(before, spent()):
        remember(cell, options, cache_folder(options), times)
    elif platform_here() == "cpu":
        text = "%s: other programs use the cores, so times say nothing; it runs by %s"
        log.warning(text, plan.name, plan.way)
        return plan, make_population(plan, options)
    best = dataclasses.replace(plans[best_of(times)], times=times, is_open=False)
    return best, make_population(best, options)


def seconds_of_step(
    population: Population, plan: CellPlan, options: RunOptions
) -> tuple[float, float]:
    """(seconds of a step, seconds of compiling) of members that are initialised."""
    population.start()
    population.train(0, 1)
    most = min(options.call_steps, Due(plan.cell).following(0))
    alone = plan.member_chunk >= len(plan.cell.members)
    timing = seconds_of if alone else seconds_in_turns
    return timing(population.train, most), population.compile_seconds
