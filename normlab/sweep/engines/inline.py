"""Runs cells one after another in this process."""

import contextlib
from collections.abc import Iterator, Sequence

from normlab.errors import UserError
from normlab.store import RunPaths
from normlab.store.layout import CellPaths, read_json
from normlab.store.lock import is_held
from normlab.store.provenance import device
from normlab.sweep.attempt import Outcome, attempt
from normlab.sweep.backend import make_ready
from normlab.sweep.cell_plan import CellPlan, Later
from normlab.sweep.engines.engine import Work
from normlab.sweep.plan import make_plan
from normlab.sweep.progress import SweepProgress


@contextlib.contextmanager
def open_inline(work: Work) -> Iterator["Inline"]:
    """The engine `Inline`.

    Raises:
      UserError: anything that would stop a cell from running.
    """
    make_ready(work.options, work.options.devices)
    yield Inline(work)


class Inline:
    """Runs cells in order, and skips those that another process is running.

    At the end it checks the skipped cells again, because their process may have died.
    """

    def __init__(self, work: Work):
        self._options, self._work = work.options, work
        self._plans = make_plan(work.config, work.options, work.ids, work.before)
        self.plan, self.device = self._plans.text(work.verbose), device()

    def run(self, paths: RunPaths) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        plans = self._plans.cells
        # Cells that failed in an earlier command are tried again.
        before = {p.cell.id: _failure(paths.cell(p.cell.id)) for p in plans}
        todo: Sequence[CellPlan | Later] = plans
        while todo:
            for outcome in self._one_round(todo, paths, before):
                outcomes[outcome.cell_id] = outcome
            busy = (p for p in plans if outcomes[p.cell.id].state == "busy")
            todo = [p for p in busy if not is_held(paths.cell(p.cell.id).lock)]
        return list(outcomes.values())

    def _one_round(
        self,
        plans: Sequence[CellPlan | Later],
        paths: RunPaths,
        before: dict[str, dict | None],
    ) -> Iterator[Outcome]:
        total = sum(plan.cell.member_steps for plan in plans)
        work = self._work
        progress = SweepProgress(total, len(plans), work.stream, work.on_eval)
        with contextlib.closing(progress):
            for plan in plans:
                cell, cell_paths = plan.cell, paths.cell(plan.cell.id)
                if _record(cell_paths).get("status") == "complete":
                    progress.skip(cell.member_steps)
                    yield Outcome(cell.id, "complete")
                    continue
                failure = _failure(cell_paths)
                if failure is not None and failure != before[cell.id]:
                    outcome = Outcome(cell.id, "failed", str(failure.get("reason")))
                else:
                    outcome = attempt(
                        cell, cell_paths, plan.now, self._options, progress
                    )
                if outcome.state != "complete":
                    text = {
                        "busy": f"{plan.name}: skipped: another process is running it",
                        "failed": f"{plan.name}: failed: {outcome.reason}",
                    }
                    progress.give_up(cell.member_steps, text[outcome.state])
                yield outcome


def _failure(paths: CellPaths) -> dict | None:
    """The record of a cell's failure; None if it has not failed."""
    record = _record(paths)
    return record if record.get("status") == "failed" else None


def _record(paths: CellPaths) -> dict:
    """cell.json; empty if it is missing or damaged (running the cell reports that)."""
    try:
        return read_json(paths.config)
    except UserError:
        return {}
