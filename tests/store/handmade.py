"""Runs written by hand, through the store alone: no training."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from normlab.cell import Cell, Member
from normlab.config import SweepConfig
from normlab.flags import write
from normlab.store.layout import RunPaths
from normlab.store.metrics import Recorder, write_part
from normlab.store.run import open_run, write_cell
from tests.cells import cell_config

CONFIG = cell_config()


def make_cell(lrs: Iterable[float] = (1e-3, 1e-2), seeds: int = 3, **changes) -> Cell:
    """A cell of seeds x learning rates; ``changes`` are fields of its config."""
    members = [Member(s, lr, 0.0, 0.0) for s in range(seeds) for lr in lrs]
    return Cell(dataclasses.replace(CONFIG, **changes), tuple(members))


def losses(member: Member, step: int) -> float:
    """A made-up curve: falls with the steps, differs between members."""
    return 2.0 / (1 + step) + 0.01 * member.seed + member.lr


def accuracy(member: Member, step: int) -> float:
    return 0.5 + 0.01 * step + 0.001 * member.seed


def write_run(
    folder: Path,
    cells: Iterable[Cell],
    *,
    loss: Callable[[Member, int], float] = losses,
    score: Callable[[Member, int], float] = accuracy,
    until: dict[str, int] | None = None,
) -> RunPaths:
    """A run directory with the metrics of every cell.

    Args:
      loss: batch and evaluation losses.
      score: accuracies, of batches too.
      until: cell id -> the step it got to; others are complete.
    """
    cells, paths = tuple(cells), RunPaths.at(folder)
    config = SweepConfig(steps=20)
    open_run(paths, config, cells, write(config), {"started": "now"})
    for cell in cells:
        end = (until or {}).get(cell.id, cell.config.steps)
        complete = end == cell.config.steps
        own = paths.cell(cell.id)
        write_cell(own, cell, "complete" if complete else "running")
        if end == 0:
            continue
        recorder = Recorder(0)
        recorder.steps(
            {
                "batch_loss": _values(loss, cell, range(end)),
                "batch_accuracy": _values(score, cell, range(end)),
                "gradient_norm": np.ones((len(cell.members), end), np.float32),
                "lr_step": _values(lambda member, step: member.lr, cell, range(end)),
            }
        )
        stops = list(range(0, end, cell.config.eval_every)) + [end] * complete
        for step in stops:
            found = {}
            for split in ("train", "test"):
                found[f"{split}_loss"] = _values(loss, cell, [step])[:, 0]
                found[f"{split}_accuracy"] = _values(score, cell, [step])[:, 0]
            recorder.evaluation(step, found)
        write_part(own.metrics, end, recorder.table())
    return paths


def _values(curve: Callable, cell: Cell, steps: Iterable[int]) -> np.ndarray:
    rows = [[curve(member, step) for step in steps] for member in cell.members]
    return np.array(rows, np.float32)
