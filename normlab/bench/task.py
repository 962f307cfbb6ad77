"""The task of all contenders: the same network, data, batches and optimizer."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.bench.contender import Contender
from normlab.cell import Cell, CellConfig
from normlab.config import SweepConfig
from normlab.data import Dataset
from normlab.data.batches import batch_indices
from normlab.data.transform import feature_statistics, standardize
from normlab.run_options import RunOptions
from normlab.sweep.cell_plan import CellPlan, Planner
from normlab.sweep.decide import decide
from normlab.sweep.grid import expand
from normlab.sweep.populate import make_population
from normlab.train.program import data_arrays, to_device

# Steps of a training that is worth all timing.
_LONG = 10**7
# How far rounding moves a number, relative to its size.
_ROUNDING = {"float32": 2.0**-23, "tf32": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True)
class Task:
    """A cell to train for a number of steps.

    Attributes:
      plan: the network, its members (learning rates of one seed), and how
        `normlab.sweep` would execute them.
      dataset: the images; the same object for all tasks, so that contenders can cache
        what they derive from it.
      steps: the length of one timed run.
    """

    plan: CellPlan
    dataset: Dataset
    steps: int

    @property
    def cell(self) -> Cell:
        return self.plan.cell

    @property
    def config(self) -> CellConfig:
        return self.plan.cell.config

    @property
    def devices(self) -> list[Any]:
        """The devices over which normlab spreads the members."""
        return jax.local_devices()[: self.plan.devices]

    @property
    def label(self) -> str:
        """How normlab runs the members: ``map``, or more if it was chosen."""
        return self.plan.way_at_once if self.plan.times else self.plan.execution

    @property
    def learning_rates(self) -> list[float]:
        """The learning rates, one per member."""
        return [member.lr for member in self.cell.members]

    @cached_property
    def batches(self) -> np.ndarray:
        """The indices of each step's images, int32 (steps, batch size)."""
        config, seed = self.config, self.cell.members[0].seed
        size, order = config.train_size, config.batch_order
        return batch_indices(seed, 0, self.steps, config.batch_size, size, order)

    @property
    def images_NHWC(self) -> np.ndarray:
        """The standardised training images, float32."""
        return standardised_NHWC(self.dataset)

    @cached_property
    def initial_params(self) -> dict[str, Any]:
        """The parameters every member starts from, as numpy arrays."""
        member = self.cell.members[0]
        values = {
            "lr": jnp.float32(member.lr),
            "momentum": jnp.float32(0),
            "weight_decay": jnp.float32(0),
        }
        state = jax.jit(self.plan.program.init)(jnp.int32(member.seed), values)
        return jax.tree.map(np.asarray, state.params)


@lru_cache(maxsize=1)
def standardised_NHWC(dataset: Dataset) -> np.ndarray:
    """The dataset's training images as the network sees them, float32."""
    statistics = feature_statistics(dataset.train_x, "channel")
    mean, std = (jnp.asarray(values) for values in statistics)
    parts = np.array_split(np.asarray(dataset.train_x), 20)
    ready = [standardize(jnp.asarray(x), mean, std) for x in parts if len(x)]
    return np.concatenate([np.asarray(x) for x in ready])


@lru_cache(maxsize=1)
def _on_device(dataset: Dataset) -> dict[str, jax.Array]:
    return to_device(data_arrays(dataset))


def make_task(
    dataset: Dataset,
    norm: str,
    batch_size: int,
    rates: Sequence[float],
    steps: int,
    *,
    options: RunOptions | None = None,
    choose: bool = False,
    **network: Any,
) -> Task:
    """A network with ``norm`` (group: 4 groups), one seed; by default the report's.

    Args:
      rates: learning rates, one per member.
      options: how normlab runs it.
      choose: whether normlab chooses its way by timing, as for a long training.
      network: the model, width, optimizer and precision, as in `SweepConfig`.
    """
    config = SweepConfig(
        dataset=(dataset.name,),
        norm=(norm,),
        batch_size=(batch_size,),
        lr=tuple(rates),
        num_seeds=1,
        steps=_LONG if choose else steps,
        **{name: (value,) for name, value in network.items()},
    )
    options = dataclasses.replace(options or RunOptions(), call_steps=steps)
    (cell,) = expand(config, {dataset.name: len(dataset.train_x)})
    plan = Planner((cell,), [cell], {dataset.name: dataset}, options).plan(cell)
    if choose:
        plan, _ = decide(plan, options)
    return Task(plan, dataset, steps)


def normlab_contender(task: Task) -> Contender:
    """normlab itself: all members together, as a sweep executes them."""
    plan, data = task.plan, _on_device(task.dataset)
    population = make_population(plan, RunOptions(call_steps=task.steps), data)
    population.start()
    start = population.state()
    starting = population.compile_seconds  # the initialisation, which no peer has

    def reset(part: int) -> None:
        del part  # there is one
        population.restore(start)
        population.state()  # copies it back: then it has arrived

    def twin(steps: int) -> np.ndarray:
        params = rounded(start.params, task.config.precision)
        population.restore(dataclasses.replace(start, params=params))
        return population.train(0, steps)["batch_loss"]

    def memory() -> int | None:
        images = data["train_x"].nbytes + data["train_y"].nbytes
        each = held_bytes(population.training_program, images)
        return None if each is None else each * len(task.devices)

    return Contender(
        reset=reset,
        train=lambda steps: population.train(0, steps)["batch_loss"],
        compile_seconds=lambda: population.compile_seconds - starting,
        memory=memory,
        twin=twin,
    )


def rounded(params: Any, precision: str) -> Any:
    """Parameters as numpy arrays, each up or down by the rounding of ``precision``."""
    random = np.random.default_rng(0)

    def moved(leaf: np.ndarray) -> np.ndarray:
        signs = random.choice([-1.0, 1.0], leaf.shape).astype(leaf.dtype)
        return leaf * (1 + _ROUNDING[precision] * signs)

    return jax.tree.map(moved, params)


def held_bytes(compiled: Any, shared: int) -> int | None:
    """The memory of a compiled JAX program on a device in bytes, minus ``shared``.

    This is the compiler's plan for arguments, results and workspace. Donated buffers
    count once. The device's own peak counter cannot be used, because it never goes down
    and therefore shows the largest program in the process.

    Returns:
      None if the backend does not provide this plan.
    """
    plan = None if compiled is None else compiled.memory_analysis()
    if plan is None:
        return None
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes
    held += plan.temp_size_in_bytes - plan.alias_size_in_bytes
    return int(held) - shared
