"""Runs cells as tasks of a Ray cluster. If a node is lost, others run its tasks again.

The driver, which runs this engine, starts no JAX backend. So it needs no accelerator
and takes none from the cells. It reads their progress from the run directory, which all
nodes must see, like the data.
"""

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normlab import data
from normlab.cell import Cell
from normlab.errors import Unwritable, UserError, one_line
from normlab.interrupt import Note, Stopped, noting
from normlab.plugins import permits
from normlab.run_options import RunOptions
from normlab.store import RunPaths
from normlab.store.layout import CellPaths
from normlab.store.lock import is_held
from normlab.sweep.attempt import Outcome, failed
from normlab.sweep.engines.engine import Work
from normlab.sweep.engines.ray_task import plan_there, run_there, worker_environment
from normlab.sweep.status import cell_state, run_status
from normlab.sweep.watch import Watch

# How long the driver waits for a task before it checks the run again.
_POLL_SECONDS = 2.0
# A lost node's locks may outlive it: on a network file system, for the time of a lease.
_LEASE_SECONDS = 120.0
# How long tasks may take to save after the driver was asked to end.
_SAVE_SECONDS = 120.0


@contextlib.contextmanager
def open_ray(work: Work) -> Iterator["Ray"]:
    """Opens the engine `Ray`, connected to its cluster.

    Signals are noted, not raised, because Ray's compiled code would turn our exception
    into another one.

    Raises:
      UserError: Ray is not installed, the cluster cannot be reached, or a cell cannot
        be run.
      Stopped: a signal came; the cells that were running have saved their state.
    """
    ray = _installed()
    joined = ray.is_initialized()  # by the caller
    with noting() as signals:
        try:
            if not joined:
                _connect(ray, work.options.ray_address)
            yield Ray(work, ray, signals)
        finally:
            if not joined:
                ray.shutdown()  # ends the tasks that are left


def _installed() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UserError(
            "--engine=ray needs the package ray: pip install 'normlab[ray]'"
        ) from None


def _connect(ray: Any, address: str) -> None:
    """Joins a cluster, or starts one on this machine."""
    main = threading.current_thread() is threading.main_thread()
    ours = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or None,
            include_dashboard=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:  # Ray raises a bare one if a node does not start
        reason = one_line(error)
        what = f"--ray_address={address}: cannot connect"
        if not address:
            what = "--engine=ray: found no cluster, and could not start one"
        raise UserError(f"{what}: {reason}") from error
    finally:
        if main:  # Ray has replaced the handler
            signal.signal(signal.SIGTERM, ours)


class Ray:
    """Runs every cell as a task of its own, as many at once as fit on the cluster.

    If another process is running a cell, the cell is started again once its lock is
    free.
    """

    def __init__(self, work: Work, ray: Any, signals: Note):
        self._work, self._ray, self._signals = work, ray, signals
        options = work.options
        gpus = options.gpus(1 if ray.cluster_resources().get("GPU") else 0)
        # Resolved here, because a task may start in another folder.
        folder = str(data.data_dir(options.data_dir or None))
        cache = options.compilation_cache
        if cache not in ("auto", "none"):
            cache = str(Path(cache).expanduser().absolute())
        self._how = {"data_dir": folder, "compilation_cache": cache}
        self._devices = _devices(options, gpus)
        self._resources = {
            "num_cpus": options.cell_cpus,
            "num_gpus": gpus,
            "max_retries": options.ray_retries,
            "runtime_env": {"env_vars": worker_environment(gpus, os.environ)},
        }
        self._warn_of_room(gpus)
        self.plan, self.device = self._planned()

    def _warn_of_room(self, gpus: float) -> None:
        """Warns if no node has room for a cell: Ray would wait for one forever."""
        nodes = [n["Resources"] for n in self._ray.nodes() if n["Alive"]]
        cpus = self._work.options.cell_cpus
        if not any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
            text = f"no node of the cluster has --cell_cpus={cpus:g} and {gpus:g} GPUs"
            print(f"{text}; waiting for one", file=sys.stderr, flush=True)

    def _submit(self, function: Any, *args: Any) -> Any:
        return self._ray.remote(**self._resources)(function).remote(*args)

    def _options(self) -> dict[str, Any]:
        return {**vars(self._work.options), **self._how}

    def _planned(self) -> tuple[str, str]:
        """The plan and the device, from a task, because the driver has no devices."""
        work = self._work
        task = self._submit(
            plan_there,
            permits(),
            work.config,
            self._options(),
            work.ids,
            self._devices,
            work.before,
            work.verbose,
        )
        try:
            while not self._ray.wait([task], timeout=_POLL_SECONDS)[0]:
                self._check_signals([task])
            plan, where, mistake = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            raise UserError(f"no cell can be planned: {_reason(error)}") from error
        if mistake:
            raise UserError(mistake)
        return plan, where

    def run(self, paths: RunPaths) -> list[Outcome]:
        steps = sum(cell.member_steps for cell in self._work.selected)
        watch = Watch(self._work.names, steps, self._work.stream)
        with contextlib.closing(watch):
            return list(self._outcomes(paths, watch).values())

    def _outcomes(self, paths: RunPaths, watch: Watch) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        tasks: dict[Any, Cell] = {}
        busy: dict[str, _Busy] = {}
        todo = [
            cell
            for cell in self._work.selected
            if cell_state(paths.cell(cell.id)).state != "complete"
        ]
        while True:
            for cell in todo:
                busy.pop(cell.id, None)
                how = self._options(), self._devices
                task = self._submit(run_there, permits(), str(paths.root), cell, *how)
                tasks[task] = cell
            self._check_signals(list(tasks))
            hoped = any(one.may_be_lost() for one in busy.values())
            if not tasks and not hoped:
                return outcomes
            for task in self._ended(tasks):
                cell = tasks.pop(task)
                outcomes[cell.id] = self._outcome(task, cell, paths)
                if outcomes[cell.id].state == "busy":
                    busy[cell.id] = _Busy(paths.cell(cell.id))
            # On a network file system, a file may seem missing while it is replaced.
            with contextlib.suppress(UserError):
                watch.show(run_status(paths))
            todo = [
                cell
                for cell in self._work.selected
                if cell.id in busy and not is_held(paths.cell(cell.id).lock)
            ]

    def _check_signals(self, tasks: list[Any]) -> None:
        """Makes the tasks save and end, if a signal came.

        Raises:
          Stopped: a signal came.
        """
        if self._signals.signum is None:
            return
        for task in tasks:
            self._ray.cancel(task)  # running tasks get a SIGINT
        if tasks:
            self._ray.wait(tasks, num_returns=len(tasks), timeout=_SAVE_SECONDS)
        raise Stopped(self._signals.signum)

    def _ended(self, tasks: dict[Any, Cell]) -> list[Any]:
        """The tasks that have ended, after a short wait at most."""
        if not tasks:
            time.sleep(_POLL_SECONDS)
            return []
        return self._ray.wait(list(tasks), timeout=_POLL_SECONDS)[0]

    def _outcome(self, task: Any, cell: Cell, paths: RunPaths) -> Outcome:
        """The outcome that an ended task reports.

        Raises:
          Unwritable (a UserError): nothing can be stored.
        """
        try:
            state, reason = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return failed(cell, paths.cell(cell.id), _reason(error), str(error))
        if state == "unwritable":
            raise Unwritable(reason)
        return Outcome(cell.id, state, reason)


class _Busy:
    """A cell whose lock is held, by a live process or by a lost node."""

    def __init__(self, paths: CellPaths):
        self._paths, self._since = paths, time.monotonic()
        self._heard = self._beat()

    def _beat(self) -> bytes:
        try:
            return self._paths.progress.read_bytes()
        except OSError:
            return b""

    def may_be_lost(self) -> bool:
        """Whether to wait for the lock. Not if its process has written a heartbeat."""
        recent = time.monotonic() - self._since < _LEASE_SECONDS
        return recent and self._beat() == self._heard


def _devices(options: RunOptions, gpus: float) -> str:
    """``--devices`` for a task: on CPUs its share of the node, not all cores."""
    given = options.devices != "auto" or "JAX_NUM_CPU_DEVICES" in os.environ
    return options.devices if gpus or given else str(max(1, int(options.cell_cpus)))


def _reason(error: Exception) -> str:
    """A Ray error in one line. If a task's own code failed, its error comes last."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[-1] if type(error).__name__.startswith("RayTaskError") else lines[0]
    return f"{type(error).__name__}: {text}"
