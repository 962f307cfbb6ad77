"""`normlab.run`: a sweep as one function."""

import inspect
import io
import signal
from typing import Any

from normlab.api import arguments
from normlab.api.stored import Run
from normlab.api.sweep import FINISHED, export, is_complete, train
from normlab.errors import UserError
from normlab.interrupt import Cancelled, Stopped
from normlab.store import RunPaths
from normlab.sweep.plan import run_folder
from normlab.sweep.rows import OnEval
from normlab.sweep.status import run_status, status_text, total


def run(
    *, on_eval: OnEval | None = None, progress: bool = True, **settings: Any
) -> Run:
    """Trains a grid of networks, and returns the run when it is complete.

    ::

        run = normlab.run(norm=["none", "batch"], lr=[1e-3, 1e-2], epochs=5, out="a")

    It is ``python -m normlab.sweep`` as a function: the same settings give the same
    numbers (the same bits with ``deterministic=True``) and the same run directory.
    Called again, it resumes the run, or returns at once if the run is complete. It
    draws no figures; `Run.figure` does.

    Args:
      on_eval: is called after each evaluation of a cell, in this process, with a table
        that has a row for each member: the columns ``cell``, ``label``, every setting,
        the member's values, ``member``, ``step`` and the metrics, as in `Run.frame`. A
        resumed run does not repeat the rows of the earlier calls. (One that was killed
        computes what it had not stored again, and repeats it.) If ``on_eval`` raises an
        error, the run takes one more step, stores its state, and the error is raised.
      progress: whether to print the plan and show the progress.
      settings: the settings of a sweep and how to run it, by the names of the flags of
        ``python -m normlab.sweep`` (``help(normlab.run)`` lists them). An axis takes
        one value or a list of values.

    Returns:
      The run. It is unfinished if other processes have some of the cells, or if
      ``dry_run``, ``status`` or ``shard`` asked for less.

    Raises:
      UserError (a ValueError): a setting is wrong, the run cannot be stored, or cells
        failed. The other cells are complete then.
      KeyboardInterrupt: Ctrl-C, or a notebook's interrupt. The state is stored.
    """
    config, options = arguments.settings(settings)
    _check_callback(on_eval, options.engine)
    paths = RunPaths.at(run_folder(options, None))
    say = print if progress else _nothing
    if options.status:
        say(status_text(paths))
        return Run(paths.root)
    try:
        if not options.dry_run and is_complete(config, options, paths):
            state = "complete"
        else:
            stream = None if progress else io.StringIO()
            state = train(
                config, options, paths, say=say, on_eval=on_eval, stream=stream
            )
    except Cancelled as cancelled:
        raise cancelled.error from None
    except Stopped as stop:
        if stop.signum == signal.SIGINT:
            raise KeyboardInterrupt(str(stop)) from None
        signal.raise_signal(stop.signum)  # the state is stored: do as the program would
        raise
    if state == "complete":
        say(f"complete: nothing is left to run in {paths.root}")
    if state == "unfinished":
        say(total(run_status(paths)))
    if state in FINISHED and options.tensorboard:
        say(f"tensorboard: {export(paths)}")
    return Run(paths.root)


def _nothing(text: str) -> None:
    pass


def _check_callback(on_eval: Any, engine: str) -> None:
    """Checks ``on_eval`` before anything runs.

    Raises:
      UserError: it is not a function, or other processes would have to call it.
    """
    if on_eval is None:
        return
    if not callable(on_eval):
        raise UserError(
            f"{arguments.NAME}: on_eval must be a function of a table, not {on_eval!r}"
        )
    if engine != "inline":
        raise UserError(
            f"{arguments.NAME}: on_eval needs engine='inline', because "
            f"engine={engine!r} trains in other processes"
        )


# So that help() and a notebook's completion know every setting.
_own = list(inspect.signature(run).parameters.values())[:-1]
run.__signature__ = arguments.signature(*_own)  # type: ignore[attr-defined]
