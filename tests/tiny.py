"""A sweep small enough to run in a test: data, network, cells, plans.

Everything is made by a function with keyword arguments, so that a test states what
matters to it and nothing else.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import Cell, CellConfig, Member
from normlab.config import SweepConfig
from normlab.data import DATASETS, Dataset
from normlab.members.memory import Footprint
from normlab.models import CONVS, INITS, MODELS, Entry, Init
from normlab.models.pool import max_pool_relu
from normlab.sweep.cell_plan import CellPlan
from normlab.train.network import Network, build_network
from normlab.train.program import Program, build_program
from tests import cells


def quick(key, shape, dtype=jnp.float32) -> jax.Array:
    """Numbers in (-1, 1) / sqrt(fan-in) told by the key.

    Not random enough for science; but a random draw costs a second to compile.
    """
    fast, slow = (jax.random.key_data(key) & 0xFFFF).astype(jnp.float32) / 2**16
    size = int(np.prod(shape))
    wave = jnp.sin(jnp.arange(size) * (1.0 + fast) * 78.233 + 6.0 * slow)
    return (wave / np.sqrt(max(size / shape[-1], 1))).reshape(shape).astype(dtype)


QUICK = Init(quick, last_kernel=quick, bias=nn.initializers.zeros)


def drawn(model: Any, x, seed: int = 0) -> Any:
    """Variables of ``model`` for ``x``, drawn with numpy, which needs no compiling.

    Every entry is in play: no scale is 1, no bias or running mean 0.
    """
    shapes = jax.eval_shape(
        lambda key: model.init(key, x, statistics="batch"), jax.random.key(0)
    )
    random = np.random.default_rng(seed)

    def draw(where, leaf):
        values = random.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
        name = where[-1].key
        values = np.exp(values) if name == "var" else values + (name == "scale")
        return values.astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


class TinyNet(nn.Module):
    """The least network with all that a model has: conv, norm, pool, dense."""

    norm: Any
    initializers: Any
    classes: int
    width: float = 1.0
    conv: Any = CONVS["patches"]
    dtype: Any = None

    @nn.compact
    def __call__(self, x_NHWC, *, statistics, mask=None):
        init = self.initializers
        x = nn.Conv(
            round(4 * self.width),
            (3, 3),
            padding="SAME",
            kernel_init=init.kernel,
            bias_init=init.bias,
            conv_general_dilated=self.conv,
            dtype=self.dtype,
            name="conv1",
        )(x_NHWC)
        x = self.norm("norm1")(x, statistics=statistics, mask=mask)
        x = max_pool_relu(x)
        x = x.reshape(x.shape[0], -1)
        return nn.Dense(
            self.classes,
            kernel_init=init.last_kernel,
            bias_init=init.bias,
            dtype=self.dtype,
            name="dense1",
        )(x)


# As if its widest convolution was not known.
TINY = Entry(TinyNet, widest=0)


def dataset(train: int = 24, test: int = 10, side: int = 6, seed: int = 0) -> Dataset:
    """Random images of one channel whose label is told by their brightness."""
    random = np.random.default_rng(seed)

    def split(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count, dtype=np.uint8) % 3
        images = random.integers(0, 120, (count, side, side, 1))
        return (images + 60 * labels[:, None, None, None]).astype(np.uint8), labels

    train_x, train_y = split(train)
    test_x, test_y = split(test)
    return Dataset("tiny", train_x, train_y, test_x, test_y, ("a", "b", "c"))


def sweep_config(**changes: Any) -> SweepConfig:
    """A sweep over the digits of two seeds and two learning rates, 6 steps long."""
    base: dict[str, Any] = {
        "dataset": ("digits",),
        "train_size": (64,),
        "norm": ("none", "batch", "group"),
        "batch_size": (8,),
        "lr": (1e-3, 1e-2),
        "num_seeds": 2,
        "steps": 6,
        "eval_every": 3,
        "train_eval_size": 32,
        "eval_batch_size": 50,
    }
    return SweepConfig(**base | changes)


def cell_config(**changes: Any) -> CellConfig:
    """A `TinyNet` on `dataset`, batch norm, SGD: 12 steps of 5 images."""
    base = cells.cell_config(
        dataset="tiny",
        train_size=24,
        model="tiny",
        init="quick",
        norm_momentum=0.9,
        optimizer="sgd",
        batch_size=5,
        steps=12,
        eval_every=5,
        train_eval_size=24,
        eval_batch_size=7,
    )
    if changes.get("norm") in ("group", "group_correlated"):
        changes = {"groups": 2} | changes
    return dataclasses.replace(base, **changes)


def members(
    lrs: Sequence[float] = (0.01, 0.1),
    seeds: Sequence[int] = (0, 1),
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> tuple[Member, ...]:
    """Seed by seed, each with every learning rate."""
    points = itertools.product(seeds, lrs)
    return tuple(Member(seed, lr, momentum, weight_decay) for seed, lr in points)


def cell(of: tuple[Member, ...] | None = None, **changes: Any) -> Cell:
    """A cell of `cell_config(**changes)` and ``of`` (by default `members()`)."""
    return Cell(cell_config(**changes), members() if of is None else of)


def program(
    config: CellConfig, data: Dataset | None = None, conv: str = "patches"
) -> Program:
    """The program of a cell; it may name the model ``tiny`` and the init ``quick``."""
    with mock.patch.dict(MODELS, tiny=TINY), mock.patch.dict(INITS, quick=QUICK):
        data = dataset() if data is None else data
        return build_program(config, data, conv=conv)


def network(config: CellConfig) -> Network:
    """The network of a cell of the tiny model."""
    with mock.patch.dict(MODELS, tiny=TINY), mock.patch.dict(INITS, quick=QUICK):
        return build_network(config, dataset())


def plan(
    of: Cell,
    *,
    execution: str = "vmap",
    member_chunk: int | None = None,
    data: Dataset | None = None,
    devices: int = 1,
) -> CellPlan:
    """How `normlab.sweep.execute.run_cell` is told to run ``of``."""
    data = dataset() if data is None else data
    built = program(of.config, data)
    return CellPlan(
        cell=of,
        name=of.config.label,
        dataset=data,
        build=lambda: built,
        footprint=Footprint(state=0, working=0),
        execution=execution,
        member_chunk=len(of.members) if member_chunk is None else member_chunk,
        member_chunk_why="as requested",
        devices=devices,
    )


class Silent:
    """A progress that says nothing, and counts the calls of `advance`."""

    def __init__(self) -> None:
        self.calls = 0

    def begin(self, name: str, steps: int, step: int, members: int) -> None:
        pass

    def compiled(self, seconds: float) -> None:
        pass

    def advance(self, steps: int, losses_M: np.ndarray) -> None:
        self.calls += 1

    def evaluated(self, cell: Cell, step: int, metrics_M: Any) -> None:
        pass

    def chose(self, text: str) -> None:
        pass

    def end(self, *notes: str) -> None:
        pass


def models() -> tuple[Any, ...]:
    """Patches that make ``tiny`` a model and a dataset, and ``quick`` an init."""
    return (
        mock.patch.dict(MODELS, tiny=TINY),
        mock.patch.dict(INITS, quick=QUICK),
        mock.patch.dict(DATASETS, tiny=lambda folder: dataset()),
    )
