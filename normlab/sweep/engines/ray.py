"""Cells as tasks of a Ray cluster: a task whose node is lost runs again on another.

The driver, which runs this engine, starts no JAX backend: it needs no accelerator, and
takes none from its cells. It tells how far they are from the run directory, which all
nodes must see, as they must see the data.
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
from normlab.run_options import RunOptions
from normlab.store import RunPaths
from normlab.store.layout import CellPaths
from normlab.store.lock import is_held
from normlab.sweep.attempt import Outcome, failed
from normlab.sweep.engines.engine import Work
from normlab.sweep.engines.ray_task import plan_there, run_there, worker_environment
from normlab.sweep.status import cell_state, run_status
from normlab.sweep.watch import Watch

# How long the driver waits for a task before it looks at the run again.
_POLL_SECONDS = 2.0
# A lost node's locks may outlive it, on a network's file system for a lease.
_LEASE_SECONDS = 120.0
# How long tasks have to save when the driver is asked to end.
_SAVE_SECONDS = 120.0


@contextlib.contextmanager
def open_ray(work: Work) -> Iterator["Ray"]:
    """The engine `Ray`, connected to its cluster while it lasts.

    Signals are noted and not raised: inside Ray's compiled code an exception of ours
    would come out as another.

    Raises:
      UserError: Ray is not installed, there is no such cluster, or anything that would
        stop a cell from running.
      Stopped: a signal came; the cells that ran have saved.
    """
    ray = _installed()
    joined = ray.is_initialized()  # by whoever calls this
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
    except Exception as error:  # Ray has a bare one for a node that does not start
        reason = one_line(error)
        what = f"--ray_address={address}: cannot connect"
        if not address:
            what = "--engine=ray: no cluster here, and none could be started"
        raise UserError(f"{what}: {reason}") from error
    finally:
        if main:  # Ray puts its own in its place
            signal.signal(signal.SIGTERM, ours)


class Ray:
    """Runs every cell as a task of its own, as many at once as the cluster has room.

    A cell that another process is at is begun again once its lock is free.
    """

    def __init__(self, work: Work, ray: Any, signals: Note):
        self._work, self._ray, self._signals = work, ray, signals
        options = work.options
        gpus = options.gpus(1 if ray.cluster_resources().get("GPU") else 0)
        # As the driver sees it: a task may start in another folder.
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
        """Ray waits without end for a node that has room for a cell."""
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
        """The plan and the device, told by a task: the driver has no devices."""
        work = self._work
        task = self._submit(
            plan_there, work.config, self._options(), work.ids, self._devices
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
        watch = Watch(self._work.names, steps)
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
                args = str(paths.root), cell, self._options(), self._devices
                tasks[self._submit(run_there, *args)] = cell
            self._check_signals(list(tasks))
            hoped = any(one.may_be_lost() for one in busy.values())
            if not tasks and not hoped:
                return outcomes
            for task in self._ended(tasks):
                cell = tasks.pop(task)
                outcomes[cell.id] = self._outcome(task, cell, paths)
                if outcomes[cell.id].state == "busy":
                    busy[cell.id] = _Busy(paths.cell(cell.id))
            # A network's file system may show a file as missing while it is replaced.
            with contextlib.suppress(UserError):
                watch.show(run_status(paths))
            todo = [
                cell
                for cell in self._work.selected
                if cell.id in busy and not is_held(paths.cell(cell.id).lock)
            ]

    def _check_signals(self, tasks: list[Any]) -> None:
        """Has tasks save and end, if a signal came.

        Raises:
          Stopped: one came.
        """
        if self._signals.signum is None:
            return
        for task in tasks:
            self._ray.cancel(task)  # those at work are told by a SIGINT
        if tasks:
            self._ray.wait(tasks, num_returns=len(tasks), timeout=_SAVE_SECONDS)
        raise Stopped(self._signals.signum)

    def _ended(self, tasks: dict[Any, Cell]) -> list[Any]:
        """Tasks that have ended, after a short while at most."""
        if not tasks:
            time.sleep(_POLL_SECONDS)
            return []
        return self._ray.wait(list(tasks), timeout=_POLL_SECONDS)[0]

    def _outcome(self, task: Any, cell: Cell, paths: RunPaths) -> Outcome:
        """What a task that has ended says.

        Raises:
          Unwritable (a UserError): that nothing can be stored.
        """
        try:
            state, reason = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return failed(cell, paths.cell(cell.id), _reason(error), str(error))
        if state == "unwritable":
            raise Unwritable(reason)
        return Outcome(cell.id, state, reason)


class _Busy:
    """A cell whose lock a task found held: by a live process, or by a lost node's."""

    def __init__(self, paths: CellPaths):
        self._paths, self._since = paths, time.monotonic()
        self._heard = self._beat()

    def _beat(self) -> bytes:
        try:
            return self._paths.progress.read_bytes()
        except OSError:
            return b""

    def may_be_lost(self) -> bool:
        """Whether to wait for the lock; not once the process lets itself be heard."""
        recent = time.monotonic() - self._since < _LEASE_SECONDS
        return recent and self._beat() == self._heard


def _devices(options: RunOptions, gpus: float) -> str:
    """``--devices`` for a task: on CPUs its share of the node, not all cores."""
    given = options.devices != "auto" or "JAX_NUM_CPU_DEVICES" in os.environ
    return options.devices if gpus or given else str(max(1, int(options.cell_cpus)))


def _reason(error: Exception) -> str:
    """An error of Ray's in one line; that of a task's own code stands in its last."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[-1] if type(error).__name__.startswith("RayTaskError") else lines[0]
    return f"{type(error).__name__}: {text}"
