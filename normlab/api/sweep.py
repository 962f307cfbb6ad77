"""What a sweep does, without a command line: train the cells, then draw the figures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import pandas as pd

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import Unwritable, UserError
from normlab.figures import CannotDraw, Sources, draw_all
from normlab.flagfiles import write
from normlab.run_options import RunOptions
from normlab.store import RunPaths
from normlab.store.extend import configs_before, move_cells
from normlab.store.layout import exists, write_text
from normlab.store.lock import only_writer
from normlab.store.provenance import session
from normlab.store.reopen import new_record, reopened
from normlab.store.run import open_run
from normlab.sweep.attempt import Outcome
from normlab.sweep.engines import Work, open_engine, part
from normlab.sweep.grid import names_of, plan_size
from normlab.sweep.plan import sweep_cells
from normlab.sweep.rows import OnEval
from normlab.sweep.status import cell_state
from normlab.tensorboard import check_installed, export_run
from normlab.words import counted

# The states of a run after `train`, in which all its cells are complete.
FINISHED = ("trained", "complete")


def train(
    config: SweepConfig,
    options: RunOptions,
    paths: RunPaths,
    *,
    say: Callable[[str], None],
    on_eval: OnEval | None = None,
    stream: TextIO | None = None,
    verbose: bool = False,
) -> str:
    """Runs the cells of a sweep that are not complete, or resumes them.

    Args:
      config: the sweep.
      options: how to run it; ``out`` and ``status`` are not read.
      paths: the run directory, which is made if necessary.
      say: is called with the plan, before anything is trained.
      on_eval: is called with the rows of every evaluation (`normlab.sweep.rows`).
      stream: where progress is written; by default standard error.
      verbose: whether the plan says how members run and what memory they need.

    Returns:
      ``planned``: nothing was run, because only the plan was asked for or this part of
      the sweep has no cells. ``unfinished``: other processes have the rest of the
      cells. ``trained``: all cells are complete now. ``complete``: they were before.

    Raises:
      UserError: the sweep cannot be run, or cells failed. The other cells are complete
        then.
      Stopped: a signal came; what was trained is stored.
      Cancelled: ``on_eval`` raised an error; what was trained is stored.
    """
    if options.tensorboard:
        check_installed()  # before the run, not after it
    before = configs_before(paths, config, options.extend)
    cells = sweep_cells(config, options, before)
    refusal = _refusal(paths, config, cells, before)
    if refusal is not None and not options.dry_run:
        raise refusal
    selected = part(cells, *options.part())
    if not selected:
        say(
            f"--shard={options.shard}: no cell is left for this part; the sweep has "
            f"{counted(len(cells), 'cell')}"
        )
        return "planned"
    work = Work(config, options, cells, selected, before, on_eval, stream, verbose)
    with open_engine(work) as engine:
        left = _incomplete(paths, selected)
        done = [cell for cell in selected if cell.id not in left]
        say(engine.plan)
        if refusal is not None:  # cells of another run may have the same ids
            say(str(refusal))
            return "planned"
        if done:
            say(f"trained already: {counted(plan_size(done)[0], 'network')}")
        say(f"out: {paths.root}")
        if options.dry_run:
            return "planned"
        lines = [*write(config), f"--out={paths.root}"]
        stamp = session(engine.device) if left else None
        open_run(paths, config, cells, lines, stamp, before)
        if before:
            move_cells(paths, cells)
        if not _incomplete(paths, cells):
            return "complete"
        with only_writer(paths.summary_lock, wait=True):
            if _incomplete(paths, cells):
                paths.summary.unlink(missing_ok=True)  # it included lost cells
        outcomes = engine.run(paths) if left else []
    _check(outcomes, cells)
    return "unfinished" if _incomplete(paths, cells) else "trained"


def _refusal(
    paths: RunPaths,
    config: SweepConfig,
    cells: tuple[Cell, ...],
    before: Sequence[SweepConfig],
) -> UserError | None:
    """Why the run directory cannot be used for this sweep; None if it can."""
    try:
        reopened(paths, new_record(config, cells, before))
    except UserError as error:
        return error
    return None


def is_complete(config: SweepConfig, options: RunOptions, paths: RunPaths) -> bool:
    """Whether nothing is left to train. Plans nothing, so it takes no time.

    Raises:
      UserError: the run directory has another configuration.
    """
    if not exists(paths.sweep):
        return False
    before = configs_before(paths, config, options.extend)
    cells = sweep_cells(config, options, before)
    if _incomplete(paths, cells):
        return False
    open_run(paths, config, cells, [], None, before)
    return True


def draw(
    paths: RunPaths, frame: pd.DataFrame, summary: pd.DataFrame
) -> tuple[list[Path], list[CannotDraw]] | None:
    """Writes the figures and the summary of a complete run, in one process.

    Args:
      frame: the run (`normlab.store.load`).
      summary: the table for ``summary.csv``.

    Returns:
      The files, and an error for each figure that cannot be drawn (the run is complete
      without it); None if another process has drawn the figures.

    Raises:
      Unwritable (a UserError): the disk is full, for example.
    """
    with only_writer(paths.summary_lock, wait=True):
        if exists(paths.summary):
            return None
        try:
            drawn = draw_all(Sources(paths.root, frame), paths.figures)
        except OSError as error:
            reason = f"cannot write {paths.figures}: {error.strerror}"
            raise Unwritable(reason) from error
        # Last: a run with a summary has all the figures that can be drawn.
        write_text(paths.summary, summary.to_csv(index=False))
    return drawn


def export(paths: RunPaths) -> Path:
    """Writes a complete run for TensorBoard, in one process; returns the folder."""
    with only_writer(paths.summary_lock, wait=True):
        return export_run(paths.root)


def _incomplete(paths: RunPaths, cells: tuple[Cell, ...]) -> list[str]:
    """The ids of the cells that are not complete."""
    states = {cell.id: cell_state(paths.cell(cell.id)).state for cell in cells}
    return [name for name, state in states.items() if state != "complete"]


def _check(outcomes: list[Outcome], cells: tuple[Cell, ...]) -> None:
    """Raises an error if cells failed.

    Raises:
      UserError: some cells failed; the message says which and why.
    """
    name = names_of(cells)
    names: dict[str, list[str]] = {}  # reason -> cells
    for outcome in outcomes:
        if outcome.state == "failed":
            names.setdefault(outcome.reason, []).append(name[outcome.cell_id])
    if names:
        count = sum(map(len, names.values()))
        text = "; ".join(
            f"{', '.join(cell_names)}: {why}" for why, cell_names in names.items()
        )
        raise UserError(
            f"{count} of {counted(len(cells), 'cell')} failed: {text}. After fixing "
            "this, run the same command again"
        )
