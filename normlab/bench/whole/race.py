"""The two commands of the comparison, their times, and their final accuracies."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from normlab.bench.settings import check_counts, check_out
from normlab.errors import UserError
from normlab.settings import flag
from normlab.store import load

# For the timing process: JAX must not reserve the GPU's memory there.
KEEP_SMALL = "XLA_PYTHON_CLIENT_PREALLOCATE"


@dataclass(frozen=True)
class WholeConfig:
    """The experiment that both commands run."""

    dataset: str = flag("cifar10", "The dataset to train on; it must be prepared.")
    data_dir: str = flag("", "Where datasets live; else NORMLAB_DATA_DIR.")
    norm: str = flag("batch", "The norm: none, batch or group (4 groups).")
    batch_size: int = flag(50, "Number of images per step.")
    members: int = flag(8, "Number of learning rates from 1e-4 to 1e-2, for one seed.")
    epochs: int = flag(2, "Number of epochs; each ends with an evaluation.")
    repeats: int = flag(3, "Runs of each command, alternating.")
    compilation_cache: str = flag(
        "none", "normlab's cache; none compiles in every run, like a first run."
    )
    out: str = flag("", "Write the results to this .json file.")

    def __post_init__(self) -> None:
        check_counts(self, "batch_size", "members", "epochs", "repeats")
        check_out(self.out)

    @property
    def learning_rates(self) -> list[float]:
        """The learning rates, one per member, with three digits for commands."""
        return [float(f"{lr:.3g}") for lr in np.logspace(-4, -2, self.members)]


@dataclass(frozen=True)
class Racer:
    """A command that trains, and how to read its results.

    Attributes:
      command: ``command(out)`` returns the words of a command that writes to ``out``.
      accuracies: ``accuracies(out)`` returns final test accuracies by learning rate.
    """

    command: Callable[[Path], list[str]]
    accuracies: Callable[[Path], dict[float, float]]


def racers(config: WholeConfig) -> dict[str, Racer]:
    """normlab's sweep, and a PyTorch script for the same experiment."""
    rates = ",".join(f"{lr:g}" for lr in config.learning_rates)
    common = [
        f"--dataset={config.dataset}",
        f"--norm={config.norm}",
        f"--batch_size={config.batch_size}",
        f"--lr={rates}",
        f"--epochs={config.epochs}",
    ]
    if config.data_dir:
        common.append(f"--data_dir={config.data_dir}")
    sweep_flags = ["--num_seeds=1", f"--compilation_cache={config.compilation_cache}"]

    def sweep(out: Path) -> list[str]:
        return ["normlab.sweep", *common, *sweep_flags, f"--out={out}"]

    # The same kind of device as the sweep.
    device = "cpu" if jax.devices()[0].platform == "cpu" else "cuda"

    def script(out: Path) -> list[str]:
        words = ["normlab.bench.torch_script", *common, f"--device={device}"]
        return [*words, f"--out={out}"]

    return {
        "normlab.sweep": Racer(sweep, _sweep_accuracies),
        "PyTorch script": Racer(script, _script_accuracies),
    }


def _sweep_accuracies(out: Path) -> dict[float, float]:
    frame = load(out)
    return _by_rate(frame[frame["step"] == frame["steps"]])


def _script_accuracies(out: Path) -> dict[float, float]:
    frame = pd.read_csv(out / "metrics.csv")
    return _by_rate(frame[frame["epoch"] == frame["epoch"].max()])


def _by_rate(final: pd.DataFrame) -> dict[float, float]:
    """Keyed by the rates of the command line, because the store's rates are float32."""
    return {
        float(f"{lr:.3g}"): float(accuracy)
        for lr, accuracy in zip(final["lr"], final["test_accuracy"], strict=True)
    }


@dataclass(frozen=True)
class Result:
    """One command's seconds for every run, and the final accuracies of the last run."""

    seconds: list[float]
    accuracies: dict[float, float]


def race(
    racers: dict[str, Racer], repeats: int, say: Callable[[str], None]
) -> dict[str, Result]:
    """Runs all commands ``repeats`` times, alternating, each with a new folder.

    Args:
      racers: name -> how its command is run and its results are read.
      repeats: the runs of each command.
      say: called with one line after every run.

    Returns:
      Name -> what was measured.

    Raises:
      UserError: a command failed; the message contains its last line of output.
    """
    seconds: dict[str, list[float]] = {name: [] for name in racers}
    accuracies: dict[str, dict[float, float]] = {}
    for _ in range(repeats):
        for name, racer in racers.items():
            with tempfile.TemporaryDirectory(prefix="normlab-whole-") as folder:
                out = Path(folder) / "out"
                seconds[name].append(timed_command(racer.command(out)))
                accuracies[name] = racer.accuracies(out)
            say(f"{name}: {seconds[name][-1]:.1f} s")
    return {name: Result(seconds[name], accuracies[name]) for name in racers}


def timed_command(words: Sequence[str]) -> float:
    """Seconds for ``python -m`` with these words, including Python's start."""
    env = {k: v for k, v in os.environ.items() if k != KEEP_SMALL}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=env | {"MPLBACKEND": "Agg"},
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise UserError(f"{words[0]} ended with status {done.returncode}: {last}")
    return seconds
