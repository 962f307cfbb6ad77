"""Trains a grid of networks over norms, learning rates and seeds, and draws figures.

    python -m normlab.sweep --flagfile=experiments/quickstart.flags

Comma-separated lists are axes. Each combination of dataset, model, norm, batch size and
similar settings is one compiled program. Learning rates, momenta, weight decays and
seeds are its members and run through it together. Running the same command again
resumes the run, or reports that it is complete. Several such commands at the same time
divide the cells among them.
"""

import functools
import shutil
import sys

import pandas as pd
from absl import flags

from normlab import commands
from normlab.api.sweep import FINISHED, draw, export, train
from normlab.config import SweepConfig
from normlab.figures.failed import at_chance
from normlab.flagfiles import flagfile_of
from normlab.flags import defined, read, run
from normlab.run_options import RunOptions
from normlab.statistics.finals import main_metric, summarize, text_table
from normlab.store import RunPaths, load
from normlab.store.layout import exists
from normlab.sweep.plan import run_folder
from normlab.sweep.status import run_status, status_text, total

PROGRAM = "normlab.sweep"


def _print_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Prints the table of final values, and returns it."""
    metric = main_metric(frame)
    table = summarize(frame, metric)
    width = shutil.get_terminal_size().columns
    print(text_table(table, metric, width, at_chance(frame)))
    return table


def _finish(paths: RunPaths) -> None:
    """Prints the table of a complete run, and draws its figures.

    If a figure cannot be drawn, this prints why; the run is complete without it.
    """
    frame = load(paths.root)
    drawn = draw(paths, frame, _print_summary(frame))
    if drawn is None:
        print(f"figures: {paths.figures}, drawn by another process")
        return
    written, errors = drawn
    names = [path.stem for path in written if path.suffix == ".png"]
    print(f"figures in {paths.figures}: {', '.join(names)} (.png, .pdf, .csv)")
    for error in errors:
        again = f"to try again: python -m normlab.figures --run={paths.root}"
        print(f"{PROGRAM}: {error}; {again}", file=sys.stderr)


def main(values: flags.FlagValues) -> int:
    options = read(RunOptions, values)
    folder = run_folder(options, flagfile_of(sys.argv[1:]))
    if options.status:
        print(status_text(RunPaths.at(folder)))
        return 0
    config = read(SweepConfig, values)
    paths = RunPaths.at(folder)
    say = functools.partial(print, flush=True)
    state = train(
        config, options, paths, say=say, verbose=bool(values["verbose"].value)
    )
    if state == "complete" and exists(paths.summary):
        print("complete: nothing is left to run")
        _print_summary(load(paths.root))
    elif state in FINISHED:
        _finish(paths)
    elif state == "unfinished":
        print(total(run_status(paths)))
        print(f"see: python -m {PROGRAM} --status --out={paths.root}")
    if state in FINISHED:
        if options.tensorboard:
            print(f"tensorboard: {export(paths)}")
        print(_next(paths))
    return 0


def _next(paths: RunPaths) -> str:
    """The commands that show the run."""
    page, figures = map(commands.to_paste, ("normlab.page", "normlab.figures"))
    return (
        "next, a page of the run (then open page/index.html in a browser):\n"
        f"  {page} --run={paths.root} --out=page\n"
        "and figures of several runs, or in a paper's style:\n"
        f"  {figures} --help"
    )


def flag_values() -> flags.FlagValues:
    return defined(SweepConfig, RunOptions)


if __name__ == "__main__":
    run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
