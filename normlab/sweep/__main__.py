"""Trains a grid of networks over norms, learning rates and seeds, and draws figures.

    python -m normlab.sweep --flagfile=experiments/quickstart.flags

Comma-separated lists are axes. Each combination of dataset, model, norm, batch size and
similar settings is one compiled program. Learning rates, momenta, weight decays and
seeds are its members and run through it together. Running the same command again
resumes the run, or reports that it is complete. Two such commands share the cells.
"""

import sys

import pandas as pd
from absl import flags

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import Unwritable, UserError
from normlab.figures import Sources, draw_all
from normlab.flagfiles import flagfile_of
from normlab.flags import define, read, run, write
from normlab.run_options import RunOptions
from normlab.statistics.finals import main_metric, summarize, text_table
from normlab.store import RunPaths, load
from normlab.store.extend import configs_before, move_cells
from normlab.store.layout import exists, write_text
from normlab.store.lock import only_writer
from normlab.store.provenance import session
from normlab.store.run import open_run
from normlab.sweep.attempt import Outcome
from normlab.sweep.engines import Work, open_engine, part
from normlab.sweep.grid import name_of
from normlab.sweep.plan import run_folder, sweep_cells
from normlab.sweep.status import cell_state, run_status, status_text, total
from normlab.tensorboard import check_installed, export_run
from normlab.words import counted

PROGRAM = "normlab.sweep"


def _print_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Prints the table of final values, and returns it."""
    metric = main_metric(frame)
    table = summarize(frame, metric)
    print(text_table(table, metric))
    return table


def _finish(paths: RunPaths) -> None:
    """Makes the table, figures and summary of a complete run, in one process.

    If a figure cannot be drawn, this prints why; the run is complete without it.
    """
    frame = load(paths.root)
    table = _print_summary(frame)
    with only_writer(paths.summary_lock, wait=True):
        if exists(paths.summary):
            print(f"figures: {paths.figures}, drawn by another process")
            return
        try:
            written, failed = draw_all(Sources(paths.root, frame), paths.figures)
        except OSError as error:
            reason = f"cannot write {paths.figures}: {error.strerror}"
            raise Unwritable(reason) from error
        # Last: a run with a summary has all the figures that can be drawn.
        write_text(paths.summary, table.to_csv(index=False))
    for path in written:
        if path.suffix == ".png":
            print(f"figure: {path} (and .pdf, .csv)")
    for error in failed:
        again = f"to try again: python -m normlab.figures --run={paths.root}"
        print(f"{PROGRAM}: {error}; {again}", file=sys.stderr)


def _export(paths: RunPaths, options: RunOptions) -> None:
    if options.tensorboard:
        with only_writer(paths.summary_lock, wait=True):
            print(f"tensorboard: {export_run(paths.root)}")


def main(values: flags.FlagValues) -> int:
    options = read(RunOptions, values)
    folder = run_folder(options, flagfile_of(sys.argv[1:]))
    if options.status:
        print(status_text(RunPaths.at(folder)))
        return 0
    config = read(SweepConfig, values)
    if options.tensorboard:
        check_installed()  # before the run, not after it
    before = configs_before(RunPaths.at(folder), config, options.extend)
    cells = sweep_cells(config, options, before)
    selected = part(cells, *options.part())
    if not selected:
        print(
            f"--shard={options.shard}: no cell is left for this part; the sweep has "
            f"{counted(len(cells), 'cell')}"
        )
        return 0
    with open_engine(Work(config, options, cells, selected, before)) as engine:
        paths = RunPaths.at(folder)
        print(engine.plan)
        print(f"out: {paths.root}", flush=True)
        if options.dry_run:
            return 0
        lines = [*write(config), f"--out={paths.root}"]
        left = _incomplete(paths, selected)
        stamp = session(engine.device) if left else None
        open_run(paths, config, cells, lines, stamp, before)
        if before:
            move_cells(paths, cells)
        if _incomplete(paths, cells):
            with only_writer(paths.summary_lock, wait=True):
                if _incomplete(paths, cells):
                    paths.summary.unlink(missing_ok=True)  # it included lost cells
        elif exists(paths.summary):
            print("complete: nothing is left to run")
            _print_summary(load(paths.root))
            _export(paths, options)
            return 0
        outcomes = engine.run(paths) if left else []
    _check(outcomes, cells)
    if _incomplete(paths, cells):
        print(total(run_status(paths)))
        print(f"see: python -m {PROGRAM} --status --out={paths.root}")
        return 0
    _finish(paths)
    _export(paths, options)
    return 0


def _incomplete(paths: RunPaths, cells: tuple[Cell, ...]) -> list[str]:
    """The ids of the cells that are not complete."""
    states = {cell.id: cell_state(paths.cell(cell.id)).state for cell in cells}
    return [name for name, state in states.items() if state != "complete"]


def _check(outcomes: list[Outcome], cells: tuple[Cell, ...]) -> None:
    """Raises an error if cells failed.

    Raises:
      UserError: some cells failed; the message says which and why.
    """
    names_of = {cell.id: name_of(cell, cells) for cell in cells}
    names: dict[str, list[str]] = {}  # reason -> cells
    for outcome in outcomes:
        if outcome.state == "failed":
            names.setdefault(outcome.reason, []).append(names_of[outcome.cell_id])
    if names:
        count = sum(map(len, names.values()))
        text = "; ".join(
            f"{', '.join(cell_names)}: {why}" for why, cell_names in names.items()
        )
        raise UserError(
            f"{count} of {counted(len(cells), 'cell')} failed: {text}. After fixing "
            "this, run the same command again"
        )


def flag_values() -> flags.FlagValues:
    values = flags.FlagValues()
    define(SweepConfig, values)
    define(RunOptions, values)
    return values


if __name__ == "__main__":
    run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
