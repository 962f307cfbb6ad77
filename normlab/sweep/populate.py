"""The members of a planned cell."""

import jax

from normlab.models import SHARING
from normlab.run_options import RunOptions
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.population import Population
from normlab.train.program import data_arrays, to_device


def make_population(
    plan: CellPlan, options: RunOptions, data: dict[str, jax.Array] | None = None
) -> Population:
    """The members of a planned cell, not yet initialised.

    Args:
      data: the arrays of its dataset, on the device; by default a new copy.
    """
    if data is None:
        data = to_device(data_arrays(plan.dataset))
    return Population(
        plan.program,
        plan.cell,
        data,
        execution=plan.execution,
        member_chunk=plan.member_chunk,
        call_steps=options.call_steps,
        devices=jax.local_devices()[: plan.devices],
        share=plan.conv in SHARING,
    )
