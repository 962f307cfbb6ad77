"""The work every contender does: the same network, data, batches and optimizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.data import Dataset
from normlab.data.batches import batch_indices
from normlab.data.transform import feature_statistics, standardize
from normlab.sweep.grid import expand
from normlab.sweep.population import Population, to_device
from normlab.train.program import Program, build_program, data_arrays


@dataclass(frozen=True)
class Task:
    """One cell to be trained for a number of steps.

    Attributes:
      cell: the network and its members (learning rates of one seed).
      dataset: where the images come from.
      steps: the length of one timed run.
    """

    cell: Cell
    dataset: Dataset
    steps: int

    @property
    def program(self) -> Program:
        return build_program(self.cell.config, self.dataset)

    def batches(self) -> np.ndarray:
        """int32 (steps, batch size): the images of each step."""
        config, seed = self.cell.config, self.cell.members[0].seed
        size = config.train_size
        return batch_indices(seed, 0, self.steps, config.batch_size, size)

    def images_NHWC(self) -> np.ndarray:
        """The standardised training images, float32."""
        found = feature_statistics(self.dataset.train_x, "channel")
        mean, std = (jnp.asarray(values) for values in found)
        parts = np.array_split(np.asarray(self.dataset.train_x), 20)
        ready = [standardize(jnp.asarray(x), mean, std) for x in parts]
        return np.concatenate([np.asarray(x) for x in ready])

    def initial_params(self) -> dict:
        """The parameters every member starts from, as numpy arrays."""
        member = self.cell.members[0]
        values = {
            "lr": jnp.float32(member.lr),
            "momentum": jnp.float32(0),
            "weight_decay": jnp.float32(0),
        }
        state = jax.jit(self.program.init)(jnp.int32(member.seed), values)
        return jax.tree.map(np.asarray, state.params)


# Trains every member from the start for the task's steps; returns losses (M, steps).
Run = Callable[[], np.ndarray]


def make_task(
    dataset: Dataset, norm: str, batch_size: int, rates: Sequence[float], steps: int
) -> Task:
    """The report's network with ``norm`` (group: 4 groups), Adam, one seed."""
    config = SweepConfig(
        dataset=(dataset.name,),
        norm=(norm,),
        batch_size=(batch_size,),
        lr=tuple(rates),
        num_seeds=1,
        steps=steps,
    )
    (cell,) = expand(config, {dataset.name: len(dataset.train_x)})
    return Task(cell, dataset, steps)


def normlab_run(task: Task, mode: str) -> Run:
    """normlab itself: all members together, in the given execution mode."""
    population = Population(
        task.program,
        task.cell,
        to_device(data_arrays(task.dataset)),
        mode=mode,
        chunk=len(task.cell.members),
        room=task.steps,
    )
    population.start()
    start = population.state()

    def run() -> np.ndarray:
        population.restore(start)
        return population.train(0, task.steps)["batch_loss"]

    return run
