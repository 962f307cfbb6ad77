"""`kill -9` at any moment, then the same command: the same bits in the end."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from normlab.store import RunPaths, load
from normlab.store.path import read_path
from normlab.store.run import cell_status

# The command line, but for the rule that checkpoints cost a small share of the time:
# taken after every call, they are often what a kill interrupts.
PROGRAM = """
import runpy, sys
from normlab.sweep import execute
execute._CHECKPOINT_SHARE = float("inf")
execute._CALL_SECONDS = 0.05
sys.argv[0] = "normlab.sweep"
runpy.run_module("normlab.sweep", run_name="__main__")
"""


def command(out: Path, cache: Path, norm: str) -> list[str]:
    flags = {
        "dataset": "digits",
        "train_size": 64,
        "norm": norm,
        "augment": "crop",
        "lr": "1e-3,1e-2",
        "num_seeds": 2,
        "batch_size": 8,
        "steps": 40,
        "eval_every": 7,
        "path_every": 9,
        "train_eval_size": 32,
        "eval_batch_size": 50,
        "call_steps": 4,
        "checkpoint_seconds": 0,
        "compilation_cache": cache,
        "out": out,
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    return [sys.executable, "-c", PROGRAM, *words]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


ENVIRONMENT = {**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def finish(words: list[str]) -> str:
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_after(words: list[str], out: Path, files: int, seconds: float) -> bool:
    """Starts the command; kills it ``seconds`` after ``files`` more files are there.

    Returns:
      Whether it was still at work when it was killed.
    """

    def count() -> int:
        return sum(len(names) for _, _, names in os.walk(out))

    goal = count() + files
    with subprocess.Popen(
        words,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and count() < goal:
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        alive = process.poll() is None
        process.kill()
    return alive


def check(folder: Path, cache: Path, norm: str, kills: int, seed: int) -> int:
    """How many of ``kills`` met it at work, after all that must hold did."""
    whole, killed = folder / "whole", folder / "killed"
    finish(command(whole, cache, norm))
    random = np.random.default_rng(seed)
    words = command(killed, cache, norm)
    alive = 0
    for _ in range(kills):
        files, seconds = int(random.integers(1, 20)), float(random.uniform(0, 0.5))
        alive += kill_after(words, killed, files, seconds)
    assert alive > 0
    finish(words)
    pd.testing.assert_frame_equal(load(killed), load(whole), check_exact=True)
    for cell in sorted(RunPaths.at(whole).cells.iterdir()):
        paths = RunPaths.at(killed).cell(cell.name)
        assert cell_status(paths) == "complete"
        expected, found = list(read_path(cell / "path")), list(read_path(paths.path))
        assert [step for step, _ in found] == [0, 9, 18, 27, 36, 40]
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    return alive


pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_a_kill_changes_no_bit(tmp_path, cache):
    check(tmp_path, cache, "batch", kills=1, seed=0)


@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_kills_change_no_bit(tmp_path, cache, seed, tally):
    alive = check(tmp_path, cache, "batch,none", kills=20, seed=seed)
    tally["kills"] += alive
    words = command(tmp_path / "killed", cache, "batch,none")
    assert "complete: nothing is left to run" in finish(words)
