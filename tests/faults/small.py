"""A run small enough to be damaged a hundred times, and the law it must keep.

After a fault either everything is as it would have been without it, bit for bit, or
the command ends in one line.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from normlab.api import sweep as steps
from normlab.config import SweepConfig
from normlab.flags import write
from normlab.run_options import RunOptions
from normlab.store import RunPaths, load, load_quantity
from normlab.store.layout import CellPaths
from normlab.store.path import read_path
from normlab.store.run import open_run
from normlab.sweep import __main__ as command
from normlab.sweep import execute
from normlab.sweep.execute import run_cell
from tests import tiny
from tests.called import called
from tests.sweep.stopped import Interrupted, StopAfter

CELL = tiny.cell(
    tiny.members(lrs=(0.01, 0.1), seeds=(0, 1))[:3],
    steps=14,
    eval_every=5,
    path_every=3,
    quantities=("gradient_norm",),
    probe_every=4,
)
PLAN = tiny.plan(CELL)
OPTIONS = RunOptions(checkpoint_seconds=0.0, call_steps=4)
CONFIG = SweepConfig(steps=14)


def begin(folder: Path) -> RunPaths:
    """A run directory of `CELL` in which nothing has run."""
    paths = RunPaths.at(folder)
    open_run(paths, CONFIG, (CELL,), write(CONFIG), {"started": "now"})
    return paths


def go_on(paths: RunPaths, progress: Any = None, plan=PLAN) -> None:
    """Runs the cell to its end, or until ``progress`` raises."""
    run_cell(plan, own(paths), OPTIONS, progress or tiny.Silent())


def own(paths: RunPaths) -> CellPaths:
    return paths.cell(CELL.id)


def interrupt(paths: RunPaths, calls: int) -> None:
    """Runs the cell with a checkpoint after each call, and stops after ``calls``."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(execute, "_CHECKPOINT_SHARE", float("inf"))
        go_on(paths, StopAfter(calls))


def tables(paths: RunPaths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics and probes, through what users read them with."""
    return load(paths.root), load_quantity(paths.root, "gradient_norm")


def same_tables(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def same_run(paths: RunPaths, expected: RunPaths) -> None:
    """Tables and path are equal, bit for bit."""
    same_tables(tables(paths), tables(expected))
    found, wanted = (list(read_path(own(run).path)) for run in (paths, expected))
    assert [step for step, _ in found] == [step for step, _ in wanted]
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def copy(paths: RunPaths, folder: Path) -> RunPaths:
    shutil.copytree(paths.root, folder)
    return RunPaths.at(folder)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damages(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """(what is done to a file, what it then holds; None where it is gone)."""
    for where, at in (("start", 0), ("middle", len(content) // 2), ("end", -1)):
        if content:
            flipped = bytearray(content)
            flipped[at] ^= 0x41
            yield f"a byte flipped at the {where}", bytes(flipped)
    yield "cut to half", content[: len(content) // 2]
    yield "emptied", b""
    yield "deleted", None


def put(path: Path, content: bytes | None) -> None:
    """Makes ``path`` hold ``content``, or not be there."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


SWEEP = {
    "dataset": "digits",
    "train_size": 40,
    "norm": "batch",
    "optimizer": "sgd",
    "lr": "1e-2,1e-1",
    "num_seeds": 1,
    "batch_size": 8,
    "steps": 6,
    "eval_every": 3,
    "path_every": 2,
    "train_eval_size": 16,
    "eval_batch_size": 50,
    "call_steps": 2,
    "checkpoint_seconds": 0,
    "compilation_cache": "none",
    "devices": 1,
    "model": "tiny",
    "init": "quick",
}


def words(out: Path | str, **changes: Any) -> list[str]:
    """A command line of `normlab.sweep`."""
    return [
        f"--{name}={value}" for name, value in (SWEEP | changes | {"out": out}).items()
    ]


def sweep(out: Path | str, *, figures: bool = False, **changes: Any) -> int:
    """The command, in this process; its exit status.

    Without ``figures`` it draws none, which would take longer than the training.
    """
    argv = words(out, **changes)
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr(steps, "draw_all", lambda *args: ([], []))
        return called(command.main, command.flag_values(), argv, command.PROGRAM)


def one_line(error: str) -> None:
    """What was said on standard error ends in one line that is the error."""
    lines = [line for line in error.splitlines() if "error" in line]
    assert len(lines) == 1 and error.splitlines()[-1] == lines[0], error
    assert lines[0].startswith("normlab.sweep: error: ")
    assert "Traceback" not in error
