"""How a cell's members are executed: as at an earlier start, as memory allows."""

import dataclasses
import logging
from typing import Any

import jax

from normlab.errors import UserError
from normlab.members.memory import available_bytes, is_out_of_memory
from normlab.run_options import RunOptions
from normlab.sweep.plan import CellPlan

log = logging.getLogger(__name__)


def execution_record(plan: CellPlan) -> dict[str, Any]:
    """How the plan's members are executed, for the cell's record."""
    return {
        "execution": plan.execution,
        "member_chunk": plan.member_chunk,
        "devices": plan.devices,
    }


def as_before(plan: CellPlan, record: dict, options: RunOptions) -> CellPlan:
    """The plan, executed as at the earlier start unless the options say otherwise.

    The member chunk and the devices depend on the memory and the devices that are free
    at the start. Another choice would change the rest of the run by rounding. If the
    devices used before are not available, the plan is not changed, and the log says so.
    """
    if record.get("execution") != plan.execution:
        return plan
    changes = {}
    limits = {
        "member_chunk": (options.member_chunk, len(plan.cell.members)),
        "devices": (options.devices, len(jax.local_devices())),
    }
    for name, (asked, most) in limits.items():
        value = record.get(name)
        if asked == "auto" and isinstance(value, int) and value != getattr(plan, name):
            if 1 <= value <= most:
                changes[name] = value
            else:
                text = "%s: began with --%s=%s, which is not available; goes on with %s"
                log.warning(text, plan.name, name, value, getattr(plan, name))
    before = dataclasses.replace(plan, **changes)
    local = jax.local_devices()[: before.devices]
    free = available_bytes(local, options.deterministic)
    if before.member_chunk > plan.member_chunk and before.device_bytes > free:
        # A CPU's memory has no error to fall back on: the system kills who takes it.
        log.warning(
            "%s: began with %d members at once, which need %d MiB where %d are free; "
            "goes on with %d, the same numbers up to rounding",
            plan.name,
            before.member_chunk,
            before.device_bytes // 2**20,
            free // 2**20,
            plan.member_chunk,
        )
        return plan
    return before


def narrower(plan: CellPlan, error: Exception) -> CellPlan:
    """The plan with half as many members at once, if memory was what lacked.

    Raises:
      UserError: one member alone does not fit.
      JaxRuntimeError: ``error`` itself, if it is another one.
    """
    if not is_out_of_memory(error):
        raise error
    devices, each = plan.devices, -(-plan.member_chunk // plan.devices)
    if each > 1:
        return dataclasses.replace(plan, member_chunk=devices * -(-each // 2))
    if devices > 1 and jax.local_devices()[0].platform == "cpu":
        # The cores of a CPU share its memory; fewer GPUs would leave each as full.
        devices = -(-devices // 2)
        return dataclasses.replace(plan, member_chunk=devices, devices=devices)
    raise UserError(
        f"{plan.name}: out of memory with one member at a time; a smaller "
        "--batch_size or --eval_batch_size needs less"
    ) from error
