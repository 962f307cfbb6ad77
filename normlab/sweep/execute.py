"""Runs a cell from its last stored state to its end."""

import logging
import time
from dataclasses import dataclass, replace
from typing import Protocol

import jax
import numpy as np

from normlab.cell import Cell
from normlab.interrupt import Note, noting
from normlab.quantities import QUANTITIES, Site
from normlab.run_options import RunOptions
from normlab.store import checkpoints, metrics, path
from normlab.store.layout import CellPaths, numbered, read_json
from normlab.store.leftovers import remove_leftovers
from normlab.store.lock import only_writer
from normlab.store.quantities import (
    ProbeRecorder,
    check_probes,
    drop_probes_after,
    to_table,
)
from normlab.store.run import cell_status, write_cell
from normlab.sweep.adapt import as_before, execution_record, narrower
from normlab.sweep.cell_plan import CellPlan
from normlab.sweep.decide import decide
from normlab.sweep.due import Due
from normlab.sweep.population import Metrics, Population
from normlab.sweep.stops import Stops

log = logging.getLogger(__name__)

# A call on the device should last about this long, so that progress can be shown and
# checkpoints taken. This determines the number of steps in a call.
_CALL_SECONDS = 5.0
# A checkpoint may take at most this share of the time since the one before.
_CHECKPOINT_SHARE = 0.02
# Path points in memory are written out when they reach this size.
_PATH_BYTES = 2**28


class Progress(Protocol):
    """Is notified of a run's progress while it works."""

    def begin(self, name: str, steps: int, step: int, members: int) -> None: ...
    def compiled(self, seconds: float) -> None: ...
    def advance(self, steps: int, losses_M: np.ndarray) -> None: ...
    def evaluated(self, cell: Cell, step: int, metrics_M: Metrics) -> None: ...
    def chose(self, text: str) -> None: ...
    def end(self, *notes: str) -> None: ...


@dataclass
class _Timer:
    """Decides when a checkpoint is due: not too often, and not at too high a cost."""

    least: float
    last: float = 0.0
    cost: float = 0.0

    def due(self) -> bool:
        wait = max(self.least, self.cost / _CHECKPOINT_SHARE)
        return time.monotonic() - self.last >= wait

    def done(self, started: float) -> None:
        self.last = time.monotonic()
        self.cost = self.last - started


def run_cell(
    plan: CellPlan, paths: CellPaths, options: RunOptions, progress: Progress
) -> None:
    """Trains every member of a cell to its last step. Resumes a cell that was begun.

    The cell's folder is valid at any moment: parts and checkpoints get their names when
    they are complete. Whatever was computed after the newest checkpoint is computed
    again, and gives the same bits.

    Raises:
      Busy (a UserError): another process is running the cell.
      Unwritable (a UserError): nothing can be stored; the disk is full, for example.
      UserError: the cell cannot be run, or what is stored of it is damaged.
      Stopped: a signal came; everything up to the step in its message is stored.
      Cancelled: ``progress.evaluated`` raised an error; everything up to the next step
        is stored.
    """
    with only_writer(paths.lock), noting() as signals:
        status = cell_status(paths)
        if status == "complete":
            return
        remove_leftovers(paths)
        if status in ("running", "failed"):
            plan = as_before(plan, read_json(paths.config), options)
        if numbered(paths.checkpoints):  # what it was begun with goes on
            plan = replace(plan, is_open=False)
        while True:
            population = None  # frees its copy of the data
            write_cell(paths, plan.cell, "running", **execution_record(plan))
            try:
                was_open = plan.is_open
                plan, population = decide(plan, options)
                if was_open:
                    write_cell(paths, plan.cell, "running", **execution_record(plan))
                    if plan.times:
                        progress.chose(f"{plan.name}: {plan.choice}")
                return _CellRun(
                    plan, paths, options, progress, signals, population
                ).run()
            except jax.errors.JaxRuntimeError as error:
                plan = narrower(plan, error)
                log.warning(
                    "%s: out of memory; now %d at once", plan.name, plan.member_chunk
                )


class _CellRun:
    """One pass over a cell: trains between stops, and evaluates and records at them."""

    def __init__(
        self,
        plan: CellPlan,
        paths: CellPaths,
        options: RunOptions,
        progress: Progress,
        signals: Note,
        population: Population,
    ):
        self._plan, self._paths, self._signals = plan, paths, signals
        self._options, self._progress = options, progress
        self._config, self._due = plan.cell.config, Due(plan.cell)
        self._population = population
        self._step_seconds = self._saving_seconds = 0.0
        self._measured: int | None = None
        self._stops = Stops(plan.cell, self._population)

    def run(self) -> None:
        started, before = time.monotonic(), self._population.compile_seconds
        step = self._restore()
        compiling = self._population.compile_seconds - before
        restoring = time.monotonic() - started - compiling
        first = saved = step
        members = len(self._plan.cell.members)
        self._note_compile(0.0)  # the pace, which leaves it out, has not begun yet
        self._progress.begin(self._plan.name, self._config.steps, step, members)
        recorder = self._stops.recorder(step)
        points = path.PathRecorder(self._paths.path)
        self._probes = ProbeRecorder(self._paths)
        timer = _Timer(self._options.checkpoint_seconds, last=time.monotonic())
        while step < self._config.steps:
            if self._signals.is_stopping:
                if saved < step:
                    self._save(step, recorder, points)
                self._signals.stop(f"at step {step} of {self._plan.name}")
            if step != self._measured:
                self._measure(step, recorder, points)
            self._stops.diverged()
            count = self._count(step)
            recorder.steps(self._train(step, count))
            step += count
            full = points.nbytes > _PATH_BYTES
            if step < self._config.steps and (timer.due() or full):
                begun = time.monotonic()
                self._save(step, recorder, points)
                timer.done(begun)
                recorder, saved = self._stops.recorder(step), step
        if first < step:  # else all but the final record was done before
            self._measure(step, recorder, points)
            self._save(step, recorder, points)
        self._progress.end(*self._stops.text())
        seconds = time.monotonic() - started
        compiling = self._population.compile_seconds
        write_cell(
            self._paths,
            self._plan.cell,
            "complete",
            **execution_record(self._plan),
            compile_seconds=round(compiling, 3),
            run_seconds=round(seconds - (compiling - before), 3),
            restore_seconds=round(restoring, 3),
            saving_seconds=round(self._saving_seconds, 3),
            steps_run=step - first,
            **self._stops.record(),
        )

    def _restore(self) -> int:
        """Restores the newest sound checkpoint; returns its step."""
        like = self._population.shapes()
        checkpoint = checkpoints.load_newest(self._paths.checkpoints, like)
        step = 0
        if checkpoint is not None:
            step, state = checkpoint
            self._population.restore(state, step)
        metrics.drop_after(self._paths.metrics, step)
        drop_probes_after(self._paths, step)
        # No earlier part may be missing.
        table = metrics.read_parts(self._paths.metrics, step)
        check_probes(self._paths, self._config, step)
        # The cell ended here before it was extended, and this point was measured.
        closed = metrics.ends_closed(table, step)
        self._measured = step if closed else None
        self._stops.resume(table, step)
        if step < self._config.steps:
            path.drop_from(self._paths.path, step + closed)
        return step

    def _measure(
        self, step: int, recorder: metrics.Recorder, points: path.PathRecorder
    ) -> None:
        """Measures and records at the parameters after ``step`` updates.

        Channels are regrouped first, so that measurements see the groups that update
        ``step`` will use. A checkpoint of this step was written before that, so a
        resumed run regroups them to the same bits.
        """
        if self._due.regroups(step):
            compiled = self._population.compile_seconds
            self._population.regroup(step)
            self._note_compile(compiled)
        evaluation: Metrics = {}
        if self._due.evaluates(step):
            compiled = self._population.compile_seconds
            evaluation = self._population.evaluate(step)
            recorder.evaluation(step, evaluation)
            self._note_compile(compiled)
            with self._signals.keeping_error():
                self._progress.evaluated(self._plan.cell, step, evaluation)
        probe = self._plan.program.probe
        if probe is not None and self._due.probes(step):
            compiled = self._population.compile_seconds
            self._probe(step, probe.site)
            self._note_compile(compiled)
        if self._due.on_path(step):
            state = self._population.state()
            variables = {"params": state.params, "batch_stats": state.batch_stats}
            points.add(step, self._stops.as_nan(variables))
        if self._due.selects(step):
            self._stops.keep_best(step, evaluation, recorder)

    def _probe(self, step: int, site: Site) -> None:
        for name, fields in self._population.probe(step).items():
            axes = QUANTITIES[name].axes
            labels = {axis: site.labels(axis) for axis in axes}
            table = self._stops.rows(to_table(step, fields, axes, labels))
            self._probes.add(name, table)

    def _count(self, step: int) -> int:
        """Steps until something else is due or the call would take too long."""
        ends = [self._due.following(step), step + self._options.call_steps]
        if self._step_seconds:
            ends.append(step + max(1, int(_CALL_SECONDS / self._step_seconds)))
        else:
            ends.append(step + 1)  # the first call measures how long a step takes
        if self._signals.is_stopping:
            ends.append(step + 1)  # the earliest step at which the cell can stop
        return min(ends) - step

    def _train(self, step: int, count: int) -> Metrics:
        compiled = self._population.compile_seconds
        started = time.monotonic()
        batch_metrics = self._population.train(step, count)
        took = time.monotonic() - started
        spent = self._population.compile_seconds - compiled
        self._note_compile(compiled)
        self._step_seconds = max(took - spent, 1e-9) / count
        losses_M = batch_metrics["batch_loss"][:, -1]
        self._stops.trained(losses_M)
        self._progress.advance(count, losses_M)
        return batch_metrics

    def _note_compile(self, before: float) -> None:
        spent = self._population.compile_seconds - before
        if spent:
            self._progress.compiled(spent)

    def _save(
        self, step: int, recorder: metrics.Recorder, points: path.PathRecorder
    ) -> None:
        """Makes everything up to ``step`` permanent; the checkpoint comes last."""
        started = time.monotonic()
        metrics.write_metrics(self._paths.metrics, step, recorder.table())
        self._probes.flush(step)
        points.flush()
        checkpoints.save(
            self._paths.checkpoints,
            step,
            self._population.state(),
            keep=self._options.keep_checkpoints,
        )
        self._saving_seconds += time.monotonic() - started
