"""Chooses how a cell's members are run, by timing, before its training begins."""

import dataclasses

import jax

from normlab.members.over import Way
from normlab.run_options import RunOptions
from normlab.sweep.backend import cache_folder
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.population import Population, to_device
from normlab.sweep.ways import best_of, is_worth_it, remember, seconds_of, time_all
from normlab.train.program import data_arrays


def make_population(plan: CellPlan, options: RunOptions) -> Population:
    """The members of a planned cell, not yet initialised."""
    return Population(
        plan.program,
        plan.cell,
        to_device(data_arrays(plan.dataset)),
        execution=plan.execution,
        member_chunk=plan.member_chunk,
        call_steps=options.call_steps,
        devices=jax.local_devices()[: plan.devices],
        share=plan.conv == "shared",
    )


def decide(plan: CellPlan, options: RunOptions, population: Population) -> CellPlan:
    """The plan with the fastest way; the plan itself if timing takes too long for it.

    Args:
      population: that of the plan. It is initialised again.
    """
    plan = dataclasses.replace(plan, is_open=False)
    seconds, compiling = _seconds(population, options)
    if plan.again is None or not is_worth_it(plan.cell, options, seconds, compiling):
        population.start()
        return plan
    plans = {plan.way: plan}

    def of_another(way: Way) -> float:
        assert plan.again is not None
        plans[way] = plan.again(way)
        return _seconds(make_population(plans[way], options), options)[0]

    members = len(plan.cell.members)
    population.clear()  # makes room for the others
    times = time_all({plan.way: seconds}, options, of_another, members)
    remember(plan.cell, options, cache_folder(options), times)
    return dataclasses.replace(plans[best_of(times)], times=times, is_open=False)


def _seconds(population: Population, options: RunOptions) -> tuple[float, float]:
    """(seconds of a step, seconds of compiling) of members that are initialised."""
    population.start()
    population.train(0, 1)
    seconds = seconds_of(population.train, options.call_steps)
    return seconds, population.compile_seconds
