"""Chooses how a cell's members are run, by timing, before its training begins."""

import dataclasses

from normlab.members.over import Way
from normlab.run_options import RunOptions
from normlab.sweep.backend import cache_folder
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.populate import make_population
from normlab.sweep.population import Population
from normlab.sweep.quiet import is_quiet, spent
from normlab.sweep.ways import best_of, is_worth_it, remember, seconds_of, time_all


def decide(plan: CellPlan, options: RunOptions) -> tuple[CellPlan, Population]:
    """A plan whose way is settled, and its members, before their first step.

    If the way is open, and timing takes a small share of the training, it is the
    fastest one. Otherwise it is that of ``plan``. While ways are timed, one copy of the
    data is on the devices, and the members of one way.
    """
    population = make_population(plan, options)
    if not plan.is_open:
        return plan, population
    plan, before = dataclasses.replace(plan, is_open=False), spent()
    seconds, compiling = _seconds(population, options)
    again = plan.again
    if again is None or not is_worth_it(plan.cell, options, seconds, compiling):
        population.start()
        return plan, population
    del population  # its copy of the data, too: there is room for one
    plans = {plan.way: plan}

    def of_another(way: Way) -> float:
        plans[way] = again(way)
        return _seconds(make_population(plans[way], options), options)[0]

    times = time_all({plan.way: seconds}, options, of_another, len(plan.cell.members))
    if is_quiet(before, spent()):
        remember(plan.cell, options, cache_folder(options), times)
    best = dataclasses.replace(plans[best_of(times)], times=times, is_open=False)
    return best, make_population(best, options)


def _seconds(population: Population, options: RunOptions) -> tuple[float, float]:
    """(seconds of a step, seconds of compiling) of members that are initialised."""
    population.start()
    population.train(0, 1)
    seconds = seconds_of(population.train, options.call_steps)
    return seconds, population.compile_seconds
