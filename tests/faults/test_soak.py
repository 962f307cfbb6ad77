"""Long work: memory, open files and the cost of a cell or a step stay as they were."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from normlab.store import RunPaths, load
from normlab.store.layout import numbered
from normlab.store.run import cell_status

pytestmark = [pytest.mark.faults, pytest.mark.slow]

# What is compiled here runs for a moment; and it is compiled, whatever ran before.
ENVIRONMENT = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
ENVIRONMENT.pop("JAX_COMPILATION_CACHE_DIR", None)


class Sample(NamedTuple):
    """A process at work.

    Attributes:
      done: cells or steps, by then.
      rss: resident memory in MiB.
      files: open files.
      cpu: seconds of all cores.
    """

    done: float
    rss: float
    files: int
    cpu: float


def sample(pid: int, done: float) -> Sample:
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    times = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Sample(
        done,
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(os.listdir(process / "fd")),
        sum(map(int, times)) / os.sysconf("SC_CLK_TCK"),
    )


def watched(
    words: list[str], done: Callable[[], float], stop_at: float = np.inf
) -> tuple[list[Sample], int]:
    """Runs a command and samples it; SIGTERM once ``done`` has reached ``stop_at``.

    It has then done some of that itself, so it is at work and not at its start.
    """
    found: list[Sample] = []
    begun = done()
    with subprocess.Popen(
        words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        said = b""
        while process.poll() is None:
            said += process.stderr.read() or b""
            try:
                found.append(sample(process.pid, done()))
            except (OSError, IndexError):
                break  # it has just ended
            if found[-1].done >= stop_at and found[-1].done > begun:
                process.send_signal(signal.SIGTERM)
                stop_at = np.inf
            time.sleep(0.2)
        said += process.stderr.read() or b""
    assert process.returncode in (0, 143), said.decode()
    return found, process.returncode


def sweep(out: Path, **flags) -> list[str]:
    common = {
        "dataset": "digits",
        "train_size": 128,
        "train_eval_size": 16,
        "eval_batch_size": 500,
        "eval_statistics": "batch",
        "num_seeds": 1,
        "lr": "1e-3",
        "compilation_cache": "none",
        "out": out,
    }
    words = [f"--{name}={value}" for name, value in (common | flags).items()]
    return [sys.executable, "-m", "normlab.sweep", *words]


def between(samples: list[Sample], low: float, high: float) -> pd.DataFrame:
    frame = pd.DataFrame(samples)
    own = frame[(frame.done >= low) & (frame.done < high)]
    assert len(own) > 5
    return own


def assert_flat(early: pd.DataFrame, late: pd.DataFrame) -> None:
    """Memory and files of two stretches are alike, and so is what a unit costs."""
    assert late.rss.median() < 1.05 * early.rss.median()
    assert late.files.median() <= early.files.median()  # more while something is saved
    assert cost(late) < 1.25 * cost(early)


def cost(stretch: pd.DataFrame) -> float:
    """Seconds of CPU a unit, between the first and the last that were seen done."""
    seen = stretch.groupby("done")["cpu"].min()
    return float(np.ptp(seen) / np.ptp(seen.index))


def told(samples: list[Sample], marks: Sequence[float]) -> str:
    """Memory and files on the way, for the record."""
    frame = pd.DataFrame(samples)
    rows = [frame[frame.done <= mark].iloc[-1] for mark in marks]
    return "; ".join(
        f"at {row.done:g}: {row.rss:.0f} MiB, {row.files:g} files, {row.cpu:.0f} s CPU"
        for row in rows
    )


def test_five_hundred_cells(tmp_path, tally):
    out = tmp_path / "run"
    cells = RunPaths.at(out).cells
    sizes = ",".join(map(str, range(1, 126)))

    def done() -> int:
        # A complete cell has no heartbeat left.
        begun = {path.parent for path in cells.glob("*/checkpoints")}
        return sum(not (cell / "progress.json").exists() for cell in begun)

    words = sweep(
        out, norm="none,batch,group,layer", batch_size=sizes, steps=2, width=0.25
    )
    samples, status = watched(words, done)
    assert status == 0
    frame = load(out)
    assert frame.cell.nunique() == 500 and frame.batch_loss.notna().sum() == 1000
    assert_flat(between(samples, 50, 200), between(samples, 350, 500))
    tally[f"soak cells ({told(samples, [50, 200, 350, 499])})"] += 500


def test_a_hundred_thousand_steps(tmp_path, tally):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    steps = 100_000

    def words(out: Path) -> list[str]:
        return sweep(
            out,
            norm="batch",
            batch_size=4,
            steps=steps,
            width=0.25,
            eval_every=1000,
            call_steps=1000,
            checkpoint_seconds=1,
        )

    def newest(out: Path) -> Callable[[], int]:
        return lambda: max(
            (
                step
                for cell in RunPaths.at(out).cells.glob("*")
                for step in numbered(cell / "checkpoints")
            ),
            default=0,
        )

    samples, status = watched(words(whole), newest(whole))
    assert status == 0
    assert_flat(between(samples, 10_000, 40_000), between(samples, 70_000, steps))
    tops = []
    for goal in range(9_000, 99_000, 9_000):
        part, status = watched(words(stopped), newest(stopped), goal)
        assert status == 143
        tops.append(max(x.rss for x in part))
    assert len(tops) == 10 and max(tops[1:]) < 1.1 * tops[1]
    _, status = watched(words(stopped), newest(stopped))
    assert status == 0
    (cell,) = RunPaths.at(stopped).cells.iterdir()
    assert cell_status(RunPaths.at(stopped).cell(cell.name)) == "complete"
    pd.testing.assert_frame_equal(load(stopped), load(whole), check_exact=True)
    marks = [10_000, 40_000, 70_000, 99_999]
    tally[f"soak steps resumed 10 times ({told(samples, marks)})"] += steps
