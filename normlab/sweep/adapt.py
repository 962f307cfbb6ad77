"""How a cell's members are executed: as at an earlier start, if memory allows."""

import dataclasses
import logging
from typing import Any

import jax

from normlab.errors import UserError
from normlab.members.memory import available_bytes, is_out_of_memory
from normlab.members.platform import platform_here
from normlab.run_options import RunOptions
from normlab.settings.devices import CONV_FORMS, EXECUTIONS
from normlab.store.provenance import check_plugins, plugins_of
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.ways import read_times
from normlab.train.way import Way, choose_conv, suits

log = logging.getLogger(__name__)

# The times in a record, by whether they are those of an earlier cell.
_TIMES = {False: "timed", True: "remembered"}


def execution_record(plan: CellPlan) -> dict[str, Any]:
    """How the plan's members are executed, and by which plugins, for its record.

    Of a plan that is open, nothing counts for a later start (`as_before`).
    """
    plugins = plugins_of(plan.cell.config)
    times = {str(way): round(ms, 4) for way, ms in plan.times.items()}
    way = {"execution": plan.execution, "conv": plan.conv}
    return {
        **({"execution": "undecided"} if plan.is_open else way),
        "member_chunk": plan.member_chunk,
        "devices": plan.devices,
        **({_TIMES[plan.remembered]: times} if times else {}),
        **({"plugins": plugins} if plugins else {}),
    }


def as_before(plan: CellPlan, record: dict, options: RunOptions) -> CellPlan:
    """The plan, executed as at the earlier start unless the options say otherwise.

    The member chunk and the devices depend on what is free at the start, and a
    different choice would change the rest of the run by rounding. If the earlier choice
    is not available any more, the plan is not changed, and the log says so. Nor is it
    changed if that start ended before the way was decided, or if its way was another
    one: its times and its member chunk say nothing about this one.

    Raises:
      UserError: the source of a plugin has changed since that start.
    """
    check_plugins(record, plan.cell.config)
    way = _way_before(record)
    if way is None:
        return plan
    plan = _same_way(plan, way, options)
    if way != plan.way:
        return plan
    kept = _TIMES[True] in record
    stored = record.get(_TIMES[kept])
    times = read_times(stored.items()) if isinstance(stored, dict) else {}
    changes: dict[str, Any] = {"is_open": False, "times": times, "remembered": kept}
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
                text = "%s: started with --%s=%s, which is not available; using %s now"
                log.warning(text, plan.name, name, value, getattr(plan, name))
    before = dataclasses.replace(plan, **changes)
    local = jax.local_devices()[: before.devices]
    free = available_bytes(local, options.deterministic)
    if before.member_chunk > plan.member_chunk and before.device_bytes > free:
        # A CPU raises no error to fall back on: the system kills the process.
        log.warning(
            "%s: started with %d members at once, which need %d MiB, but only %d MiB "
            "are free; using %d at once now, which changes results only by rounding",
            plan.name,
            before.member_chunk,
            before.device_bytes // 2**20,
            free // 2**20,
            plan.member_chunk,
        )
        return plan
    return before


def _way_before(record: dict) -> Way | None:
    """The way of the earlier start; None if it had none that is known."""
    execution = record.get("execution")
    if execution not in EXECUTIONS:
        return None
    # Runs of an earlier revision have no record of the form.
    conv = record.get("conv", choose_conv(execution, platform_here()))
    return Way(execution, conv) if conv in CONV_FORMS else None


def _same_way(plan: CellPlan, way: Way, options: RunOptions) -> CellPlan:
    """The plan with ``way``, where the options leave it open."""
    if options.execution not in ("auto", way.execution):
        return plan
    if options.conv not in ("auto", way.conv):
        return plan
    platform = platform_here()
    if options.conv == "auto" and not suits(way.conv, platform):
        log.warning(
            "%s was trained by %s, which is slow on a %s; it goes on by %s",
            plan.name,
            way,
            platform,
            plan.way,
        )
        return plan
    return plan if plan.again is None or way == plan.way else plan.again(way)


def narrower(plan: CellPlan, error: Exception) -> CellPlan:
    """The plan with half as many members at once, if memory ran out.

    Raises:
      UserError: even one member alone does not fit.
      JaxRuntimeError: ``error`` itself, if it has another cause.
    """
    if not is_out_of_memory(error):
        raise error
    devices, each = plan.devices, -(-plan.member_chunk // plan.devices)
    if each > 1:
        return dataclasses.replace(plan, member_chunk=devices * -(-each // 2))
    if devices > 1 and platform_here() == "cpu":
        # A CPU's cores share its memory. With fewer GPUs, each would be just as full.
        devices = -(-devices // 2)
        return dataclasses.replace(plan, member_chunk=devices, devices=devices)
    raise UserError(
        f"{plan.name}: out of memory with one member at a time; a smaller "
        "--batch_size or --eval_batch_size needs less"
    ) from error
