"""A run with paths and checkpoints made up, of networks that were never trained."""

import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.flags import write
from normlab.landscape.settings import LandscapeConfig
from normlab.store import checkpoints
from normlab.store.layout import RunPaths
from normlab.store.path import PathRecorder
from normlab.store.run import open_run, write_cell
from normlab.train.optimizers import values_of
from normlab.train.state import TrainState
from tests import tiny

STEPS = (0, 4, 8, 12)
NORMS = ("none", "batch", "group")
MEMBERS = tiny.members(lrs=(0.01, 0.1), seeds=(0, 1))


def cell(norm: str = "batch", **changes: Any) -> Cell:
    # Epsilon is large: with these small networks' statistics all is smooth.
    base = {"norm": norm, "path_every": 4, "eval_batch_size": 24, "epsilon": 0.01}
    return tiny.cell(MEMBERS, **base | changes)


def shapes(of: Cell) -> TrainState:
    seeds = jax.ShapeDtypeStruct((len(of.members),), jnp.int32)
    values = values_of(of.members, of.hyperparameters)
    return jax.eval_shape(jax.vmap(tiny.program(of.config).init), seeds, values)


def state(of: Cell, step: int) -> TrainState:
    """Made-up numbers that move along a curve with the step; others for each member."""
    drawn = np.random.default_rng(7)

    def draw(leaf):
        if leaf.dtype != np.float32:
            return np.full(leaf.shape, step, leaf.dtype)
        here, way, bend = (drawn.normal(size=leaf.shape) for _ in range(3))
        t = step / STEPS[-1]
        return (0.3 * (here + 2 * t * way + t * t * bend)).astype(np.float32)

    found = jax.tree.map(draw, shapes(of))

    def statistics(leaf):
        if leaf.dtype == np.float32:
            return np.abs(leaf) + np.float32(0.2)
        return np.broadcast_to(np.arange(leaf.shape[-1]) % 2, leaf.shape).astype(
            "int32"
        )

    return found.replace(batch_stats=jax.tree.map(statistics, found.batch_stats))


def write_run(folder: Path, *cells: Cell, path: bool = True) -> RunPaths:
    """A run of ``cells``, with paths (two stacks) and a checkpoint each."""
    paths = RunPaths.at(folder)
    config = SweepConfig(steps=STEPS[-1])
    open_run(paths, config, cells, write(config), {"started": "now"})
    for one in cells:
        own = paths.cell(one.id)
        write_cell(own, one, "complete")
        recorder = PathRecorder(own.path)
        for step in STEPS if path else ():
            at = state(one, step)
            recorder.add(step, {"params": at.params, "batch_stats": at.batch_stats})
            if step == STEPS[1]:
                recorder.flush()
        recorder.flush()
        checkpoints.save(own.checkpoints, STEPS[-1], state(one, STEPS[-1]), keep=2)
    return paths


def copy_run(run: RunPaths, folder: Path) -> RunPaths:
    shutil.copytree(run.root, folder / "run")
    return RunPaths.at(folder / "run")


def config(run: Path | str = "anywhere", **changes: Any) -> LandscapeConfig:
    """Three points along a direction, over 12 images, on one device."""
    base: dict[str, Any] = {
        "run": str(run),
        "points": 3,
        "images": 12,
        "devices": "1",
        "execution": "map",
    }
    return LandscapeConfig(**base | changes)


def silent(done: int, total: int) -> None:
    pass
