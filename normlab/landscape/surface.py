"""Computes the losses of a network at many points of a slice, several at a time."""

from collections.abc import Sequence

import jax
import numpy as np

from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.landscape.settings import LandscapeConfig
from normlab.landscape.slices import Slice, statistics_at
from normlab.members.over import nan_is_a_result
from normlab.members.platform import platform_here
from normlab.members.runner import Runner
from normlab.norms import NORMS
from normlab.quantities.directions import combine
from normlab.train.cut import by_example
from normlab.train.evaluate import make_evaluate
from normlab.train.network import build_network
from normlab.train.precision import products_in
from normlab.train.program import data_arrays
from normlab.train.way import choose_way

# Maximum points per tile: the work that a kill can lose, and the progress interval.
_TILE = 32
# Images per batch where batches do not change the result: enough to fill a GPU.
_BATCH = 500

LossesAndAccuracies = dict[tuple[str, str], tuple[np.ndarray, np.ndarray | None]]


def statistics_of(norm: str, asked: Sequence[str]) -> tuple[str, ...]:
    """The statistics to compute. Norms without running averages need only one."""
    return tuple(asked) if NORMS[norm].running else ("batch",)


class Surface:
    """``surface(slice, coordinates_N2)``: losses and accuracies at N points.

    Points are distributed over devices like the members of a sweep. The program is
    compiled once. The images are the first of their split, in the dataset's order and
    without augmentation. Batch statistics use batches of consecutive images.

    Args:
      cell_config: the settings of the network.
      dataset: the dataset with the cell's training images, whose statistics scale all
        inputs.
      config: the settings of the landscape.
      total: the number of points in the grid.
    """

    def __init__(
        self,
        cell_config: CellConfig,
        dataset: Dataset,
        config: LandscapeConfig,
        total: int,
    ):
        way, _ = choose_way(config.execution, config.conv, platform_here())
        network = build_network(cell_config, dataset, conv=way.conv)
        asked = config.batch or cell_config.batch_size
        evaluates = {
            statistics: make_evaluate(
                network.model,
                network.scale,
                batch_size=_BATCH if alone else asked,
                statistics=statistics,
                task=dataset.task,
                noise=cell_config.noise_eval,
                by_example=alone,
            )
            for statistics in statistics_of(cell_config.norm, config.statistics)
            for alone in [by_example(cell_config, statistics)]
        }

        def at(coordinates_2: jax.Array, along: Slice, images: dict) -> dict:
            a, b = coordinates_2
            params = combine(along.params, along.first, along.second, a, b)
            stats = statistics_at(along, a)
            return {
                split: {
                    statistics: evaluate(params, stats, *images[split])
                    for statistics, evaluate in evaluates.items()
                }
                for split in config.split
            }

        # In the given order, because jit sorts the keys of a dict.
        self._order = [(split, name) for split in config.split for name in evaluates]
        arrays = data_arrays(dataset)
        images = {
            split: tuple(arrays[f"{split}_{xy}"][: config.images] for xy in "xy")
            for split in config.split
        }
        self._run = Runner(
            products_in(cell_config.precision, at),
            (True, False),
            way.execution,
            count=total,
            settings=config,
            shared=(images,),
            at_once=_TILE,
            advice="a smaller --member_chunk or --batch needs less memory",
        )

    def tile(self, along: Slice) -> int:
        """The number of points per call: as many as fit into memory."""
        return self._run.size(np.zeros((1, 2), np.float32), along)

    def share(self, along: Slice) -> Slice:
        """Copies the slice to every device, for use in many calls."""
        return self._run.share(along)

    def __call__(self, along: Slice, coordinates_N2: np.ndarray) -> LossesAndAccuracies:
        """(split, statistics) -> (losses, accuracies), each of shape (N,).

        For regression, the accuracies are None.

        Args:
          along: the slice, as returned by `share`.
          coordinates_N2: the points.

        Raises:
          UserError: a device ran out of memory.
        """
        with nan_is_a_result(), np.errstate(over="ignore"):  # far from the point
            values = self._run(coordinates_N2.astype(np.float32), along)
        return {(split, name): values[split][name] for split, name in self._order}
