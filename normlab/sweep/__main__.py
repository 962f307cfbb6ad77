"""Trains a grid of networks: norms, learning rates, seeds; then table and figures.

    python -m normlab.sweep --flagfile=experiments/quickstart.flags

Comma lists are axes: each combination of dataset, model, norm, batch size and the
like is one compiled program; learning rates, momenta, weight decays and seeds are
its members and run through it together. The same command again resumes, or says
that all is done.
"""

import contextlib
import logging
import sys
from pathlib import Path

import jax
import pandas as pd
from absl import flags

from normlab import data
from normlab.analysis.summary import main_metric, summarize, text_table
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.figures import Sources, draw_all
from normlab.flagfiles import flagfile_of
from normlab.flags import define, read, run, write
from normlab.run_options import RunOptions
from normlab.store import RunPaths, load
from normlab.store.layout import write_text
from normlab.store.provenance import session
from normlab.store.run import cell_status, open_run
from normlab.sweep.deterministic import make_deterministic
from normlab.sweep.execute import run_cell
from normlab.sweep.placement import use_cores
from normlab.sweep.plan import Plan, make_plan, run_folder
from normlab.sweep.progress import SweepProgress
from normlab.tensorboard import check_installed, export_run

PROGRAM = "normlab.sweep"


def _use_compilation_cache(options: RunOptions) -> None:
    """Compiled programs outlive the process: the second start compiles nothing."""
    folder = options.compilation_cache
    if folder == "none":
        return
    if folder == "auto":
        folder = str(data.data_dir(options.data_dir or None) / "compiled")
    try:
        path = Path(folder).expanduser()
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return  # a read-only home costs the cache, not the run
    jax.config.update("jax_compilation_cache_dir", str(path))
    # JAX's default leaves out what compiles in under a second: an evaluation, say.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _execute(plan: Plan, paths: RunPaths, options: RunOptions) -> None:
    total = sum(cell_plan.cell.member_steps for cell_plan in plan.cells)
    progress = SweepProgress(total, len(plan.cells))
    with contextlib.closing(progress):
        for cell_plan in plan.cells:
            cell = cell_plan.cell
            cell_paths = paths.cell(cell.id)
            if cell_status(cell_paths) == "complete":
                progress.skip(cell.member_steps)
                continue
            run_cell(cell_plan, cell_paths, options, progress)


def _print_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Prints the table of final values, and returns it."""
    metric = main_metric(frame)
    table = summarize(frame, metric)
    print(text_table(table, metric))
    return table


def _report(paths: RunPaths) -> None:
    frame = load(paths.root)
    table = _print_summary(frame)
    try:
        written = draw_all(Sources(paths.root, frame), paths.figures)
    except OSError as error:
        raise UserError(f"cannot write {paths.figures}: {error.strerror}") from error
    # Last: a run that has its summary has its figures.
    write_text(paths.summary, table.to_csv(index=False))
    for path in written:
        if path.suffix == ".png":
            print(f"figure: {path} (and .pdf, .csv)")


def _export(paths: RunPaths, options: RunOptions) -> None:
    if options.tensorboard:
        print(f"tensorboard: {export_run(paths.root)}")


def main(values: flags.FlagValues) -> int:
    config, options = read(SweepConfig, values), read(RunOptions, values)
    if options.tensorboard:
        check_installed()  # before the run, not after it
    if options.deterministic:
        make_deterministic()
    use_cores(options.devices)
    if not options.dry_run:
        _use_compilation_cache(options)  # before the plan, which may ask the compiler
    plan = make_plan(config, options)
    paths = RunPaths.at(run_folder(options, flagfile_of(sys.argv[1:])))
    print(plan.text)
    print(f"out: {paths.root}", flush=True)
    if options.dry_run:
        return 0
    lines = [*write(config), f"--out={paths.root}"]
    complete = all(cell_status(paths.cell(p.cell.id)) == "complete" for p in plan.cells)
    cells = tuple(p.cell for p in plan.cells)
    open_run(paths, config, cells, lines, None if complete else session())
    if complete and paths.summary.exists():
        print("complete: nothing is left to run")
        _print_summary(load(paths.root))
        _export(paths, options)
        return 0
    _execute(plan, paths, options)
    _report(paths)
    _export(paths, options)
    return 0


def _flags() -> flags.FlagValues:
    values = flags.FlagValues()
    define(SweepConfig, values)
    define(RunOptions, values)
    return values


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    run(main, _flags(), program=PROGRAM, doc=__doc__ or "")
