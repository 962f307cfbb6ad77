"""What the processes of a Ray cluster run, and their environment."""

import os
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import normlab
from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import Unwritable, UserError
from normlab.interrupt import Stopped
from normlab.plugins import Permits, adopt_permits
from normlab.run_options import RunOptions
from normlab.serialize import from_dict
from normlab.store import RunPaths
from normlab.store.extend import configs_before
from normlab.store.layout import exists, read_json
from normlab.store.provenance import check_plugins, device
from normlab.sweep.attempt import attempt
from normlab.sweep.backend import make_ready
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.plan import make_plan

# The share of a GPU's memory that all cells on it may use together.
_GPU_SHARE = 0.9


def worker_environment(gpus: float, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a task's process, from the driver's and its own.

    Args:
      gpus: the GPUs that the task was given. Ray hides all others from it, but hides
        none from a task that was given none.
      environ: the driver's environment.
    """
    ours = ("NORMLAB_", "JAX_", "XLA_")
    variables = {k: v for k, v in environ.items() if k.startswith(ours)}
    # Import the driver's copy of the package, even if none is installed on the node.
    paths = [str(Path(normlab.__file__).parents[1]), environ.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if not gpus:
        variables["JAX_PLATFORMS"] = "cpu"
    elif variables.get("JAX_PLATFORMS") == "cpu":
        del variables["JAX_PLATFORMS"]  # the driver's own, on a machine without a GPU
    if 0 < gpus < 1:
        variables.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        share = f"{_GPU_SHARE * gpus:.3f}"
        variables.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", share)
    return variables


def plan_there(
    permits: Permits,
    config: SweepConfig,
    options: dict[str, Any],
    ids: tuple[str, ...],
    devices: str,
    before: tuple[SweepConfig, ...] = (),
    verbose: bool = False,
) -> tuple[str, str, str]:
    """(plan, device, the user's mistake or ""), computed in a task's process.

    Args:
      permits: what the driver may import.
    """
    adopt_permits(permits)
    run_options = RunOptions(**options)
    try:
        make_ready(run_options, devices)
        plan = make_plan(config, run_options, ids, before)
        return plan.text(verbose), device(), ""
    except UserError as error:
        return "", "", str(error)


def run_there(
    permits: Permits, root: str, cell: Cell, options: dict[str, Any], devices: str
) -> tuple[str, str]:
    """(state, reason) of an `Outcome`, or "unwritable" and the reason.

    The plugins must have the same source here as where the driver is.
    """
    adopt_permits(permits)
    paths, run_options = RunPaths(Path(root)), RunOptions(**options)
    if threading.current_thread() is threading.main_thread():
        # Only `cancel` sends SIGINT. A cluster that was started in the background would
        # ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    make_ready(run_options, devices)
    if not exists(paths.sweep):
        host = socket.gethostname()
        text = f"{host} does not see --out={root}: give a folder that all nodes share"
        return "unwritable", text

    def plan() -> CellPlan:
        record = read_json(paths.sweep)
        config = from_dict(SweepConfig, record["config"])
        before = configs_before(paths, config, extend=False)
        cell_plan = make_plan(config, run_options, (cell.id,), before).cells[0].now()
        check_plugins(record, config)
        return cell_plan

    try:
        return attempt(cell, paths.cell(cell.id), plan, run_options)[1:]
    except Stopped as stop:  # the driver asked, or the node is being drained
        return "failed", str(stop)  # it has saved
    except Unwritable as error:
        return "unwritable", str(error)
