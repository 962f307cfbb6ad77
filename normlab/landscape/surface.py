"""The losses of a network at many points of a slice, several at once."""

from collections.abc import Sequence

import jax
import numpy as np

from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.landscape.settings import LandscapeConfig
from normlab.landscape.slices import Slice, statistics_at
from normlab.members.over import choose_conv, choose_execution, nan_is_a_result
from normlab.members.runner import Runner
from normlab.norms import NORMS
from normlab.quantities.directions import combine
from normlab.train.evaluate import make_evaluate
from normlab.train.network import build_network
from normlab.train.precision import products_in
from normlab.train.program import data_arrays

# Points of a tile at most: what a kill can cost, and what is said of progress.
_TILE = 32
# Images at a time where that changes no result: on a CPU their activations stay in a
# core's cache, and there are enough of them to fill any other device.
_BATCH = {"cpu": 25}
_BATCH_ELSEWHERE = 500

LossesAndAccuracies = dict[tuple[str, str], tuple[np.ndarray, np.ndarray | None]]


def statistics_of(norm: str, asked: Sequence[str]) -> tuple[str, ...]:
    """The statistics to look at; without running averages all are one."""
    return tuple(asked) if NORMS[norm].running else ("batch",)


class Surface:
    """``surface(slice, coordinates_N2)``: losses and accuracies at N points.

    The points are spread over the devices and mapped as members of a sweep are; the
    program is compiled once. The images are the first of their split, in the dataset's
    order and not augmented; under batch statistics consecutive images make a batch.

    Args:
      cell_config: of the network.
      dataset: with the cell's training images, by whose statistics all are scaled.
      config: what is asked for.
      total: points of the whole grid.
    """

    def __init__(
        self,
        cell_config: CellConfig,
        dataset: Dataset,
        config: LandscapeConfig,
        total: int,
    ):
        platform = jax.local_devices()[0].platform
        execution, _ = choose_execution(config.execution, platform)
        conv = choose_conv(execution, platform)
        conv = "forward" if conv == "direct" else conv
        network = build_network(cell_config, dataset, conv=conv)
        evaluates = {
            statistics: make_evaluate(
                network.model,
                network.scale,
                batch_size=_batch(cell_config, config, statistics, platform),
                statistics=statistics,
                task=dataset.task,
                noise=cell_config.noise_eval,
            )
            for statistics in statistics_of(cell_config.norm, config.statistics)
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

        # As asked for: a tree that went through jit has its names in another order.
        self._order = [(split, name) for split in config.split for name in evaluates]
        arrays = data_arrays(dataset)
        images = {
            split: tuple(arrays[f"{split}_{xy}"][: config.images] for xy in "xy")
            for split in config.split
        }
        self._run = Runner(
            products_in(cell_config.precision, at),
            (True, False),
            count=total,
            settings=config,
            shared=(images,),
            at_once=_TILE,
            advice="a smaller --member_chunk or --batch needs less",
        )

    def tile(self, along: Slice) -> int:
        """Points of one call: as many as fit, in tiles of one size."""
        return self._run.size(np.zeros((1, 2), np.float32), along)

    def share(self, along: Slice) -> Slice:
        """The slice on every device, for many calls."""
        return self._run.share(along)

    def __call__(self, along: Slice, coordinates_N2: np.ndarray) -> LossesAndAccuracies:
        """Losses and accuracies (N,), None in a regression, by (split, statistics).

        Args:
          along: what `share` returned.
          coordinates_N2: the points.

        Raises:
          UserError: a device ran out of memory.
        """
        with nan_is_a_result(), np.errstate(over="ignore"):  # far from the point
            values = self._run(coordinates_N2.astype(np.float32), along)
        return {(split, name): values[split][name] for split, name in self._order}


def _batch(
    cell_config: CellConfig, config: LandscapeConfig, statistics: str, platform: str
) -> int:
    """Images at a time; their number matters to batch statistics alone."""
    if statistics == "batch" and NORMS[cell_config.norm].running:
        return config.batch or cell_config.batch_size
    return _BATCH.get(platform, _BATCH_ELSEWHERE)
