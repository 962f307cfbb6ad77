"""Every experiment is a lab note: a question, its command, and a sweep that expands."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from absl import flags

from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.run_options import RunOptions
from normlab.sweep.grid import expand
from normlab.train.network import build_model
from tests.cells import SIZES

FOLDER = Path(__file__).parents[1] / "experiments"
FILES = sorted(FOLDER.glob("*.flags"))
SHAPES = {"cifar10": (32, 32, 3), "digits": (8, 8, 1), "mnist": (28, 28, 1)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_note_says_its_question_and_its_command(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Question: ")
    assert f"--flagfile=experiments/{path.name}" in text
    notes = [line for line in text.splitlines() if line.startswith("#")]
    assert max(map(len, notes)) <= 120


@functools.cache
def cells_of(path):
    values = flags.FlagValues()
    for kind in (SweepConfig, RunOptions):
        define(kind, values)
    values(["sweep", f"--flagfile={path}"])
    return expand(read(SweepConfig, values), SIZES)


sweeps = pytest.mark.parametrize(
    "path",
    [path for path in FILES if not path.stem.startswith("bench")],
    ids=lambda path: path.stem,
)


@functools.cache  # sweeps share most of their networks
def shape_after(model: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    x = jax.ShapeDtypeStruct(shape, jnp.float32)

    def applied(variables, x):
        return model.apply(variables, x, statistics="batch")

    return jax.eval_shape(applied, variables_of(model, shape[1:]), x).shape


@functools.cache
def variables_of(model: Any, shape: tuple[int, ...]) -> Any:
    def init(x):
        return model.init(jax.random.key(0), x, statistics="batch")

    return jax.eval_shape(init, jax.ShapeDtypeStruct((1, *shape), jnp.float32))


@sweeps
def test_no_norm_is_refused(path):
    """Each layer has groups that divide its channels, and more than one value a block.

    The batch that is taken is the smallest of those that training and evaluation with
    batch statistics take; the larger ones of a network have more values a block.
    """
    smallest: dict[Any, int] = {}
    for config in (cell.config for cell in cells_of(path)):
        sizes = [config.batch_size, config.eval_batch_size]
        size = sizes[0] if config.eval_statistics == ("running",) else min(sizes)
        shape = SHAPES.get(config.dataset, (1, 1, 10))
        network = build_model(config, 10), shape
        smallest[network] = min(size, smallest.get(network, size))
    for (model, shape), size in smallest.items():
        assert shape_after(model, (size, *shape)) == (size, 10)


@sweeps
def test_a_sweep_expands_to_cells_of_its_own(path):
    cells = cells_of(path)
    assert len({cell.id for cell in cells}) == len(cells) > 0
    assert all(cell.members for cell in cells)


def test_the_page_is_of_all_runs_that_are_kept():
    lines = (FOLDER / "results" / "page.flags").read_text("utf-8").splitlines()
    named = [line for line in lines if not line.startswith("#")]
    kept = {path.parents[1].name for path in FOLDER.glob("results/*/cells/*")}
    assert sorted(named) == sorted(f"--run=experiments/results/{x}" for x in kept)
