"""The losses of a network at many points of a slice, several at once."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.landscape.settings import LandscapeConfig
from normlab.landscape.slices import Slice, statistics_at
from normlab.norms import NORMS
from normlab.quantities.directions import combine
from normlab.sweep.members import OverMembers, choose_conv, choose_mode
from normlab.sweep.memory import (
    Footprint,
    available_bytes,
    choose_chunk,
    out_of_memory,
    tree_bytes,
    working_bytes,
)
from normlab.sweep.placement import Placement, choose_devices, padded
from normlab.train.evaluate import make_evaluate
from normlab.train.network import build_model
from normlab.train.precision import products_in
from normlab.train.program import data_arrays, preparation

# Points of a tile at most: what a kill can cost, and what is said of progress.
_TILE = 32
# Images at a time where that changes no result: on a CPU their activations stay in a
# core's cache, and there are enough of them to fill any other device.
_BATCH = {"cpu": 25}
_BATCH_ELSEWHERE = 500

Found = dict[tuple[str, str], tuple[np.ndarray, np.ndarray | None]]


def kinds_of(norm: str, asked: Sequence[str]) -> tuple[str, ...]:
    """The kinds of statistics to look at; without running averages all are one."""
    return tuple(asked) if NORMS[norm].running else ("batch",)


class Surface:
    """``surface(slice, coordinates_N2)``: losses and accuracies at N points.

    The points are spread over the devices and mapped as members of a sweep are; the
    program is compiled once. The images are the first of their split, in the dataset's
    order and not augmented; under batch statistics consecutive images make a batch.

    Args:
      cell: whose network.
      dataset: with the cell's training images, by whose statistics all are scaled.
      config: what is asked for.
      total: points of the whole grid.
    """

    def __init__(
        self, cell: CellConfig, dataset: Dataset, config: LandscapeConfig, total: int
    ):
        platform = jax.local_devices()[0].platform
        mode, _ = choose_mode(config.execution, platform)
        conv = choose_conv(mode, platform)
        conv = "forward" if conv == "direct" else conv
        model = build_model(cell, len(dataset.classes), conv=conv)
        scale, _ = preparation(cell, dataset)
        evaluates = {
            kind: make_evaluate(
                model,
                scale,
                batch_size=_batch(cell, config, kind, platform),
                statistics=kind,
                task=dataset.task,
                noise=cell.noise_eval,
            )
            for kind in kinds_of(cell.norm, config.statistics)
        }

        def at(coordinates_2: jax.Array, along: Slice, images: dict) -> dict:
            a, b = coordinates_2
            params = combine(along.params, along.first, along.second, a, b)
            stats = statistics_at(along, a)
            return {
                split: {
                    kind: evaluate(params, stats, *images[split])
                    for kind, evaluate in evaluates.items()
                }
                for split in config.split
            }

        # As asked for: a tree that went through jit has its names in another order.
        self._order = [(split, kind) for split in config.split for kind in evaluates]
        self._at = products_in(cell.precision, at)
        arrays = data_arrays(dataset)
        self._images = {
            split: tuple(arrays[f"{split}_{xy}"][: config.images] for xy in "xy")
            for split in config.split
        }
        self._total = total
        self._chunk, self._mode = config.member_chunk, mode
        most = min(total, _TILE) if self._chunk == "auto" else total
        local = jax.local_devices()
        devices = choose_devices(config.devices, most, len(local), platform, mode)
        self._most, self._devices = most, local[:devices]
        self._place = Placement(self._devices)
        self._shared = self._place.share(self._images)
        self._over = OverMembers(
            self._at, (True, False, False), mode, placement=self._place
        )

    def tile(self, along: Slice) -> int:
        """Points of one call: as many as fit, in tiles of one size."""

        def shape(leaf):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

        point = jax.ShapeDtypeStruct((2,), jnp.float32)
        shapes = jax.tree.map(shape, (along, self._images))
        footprint = Footprint(0, working_bytes(self._at, point, *shapes))
        count = len(self._devices)
        own = count * (tree_bytes(along) + tree_bytes(self._images))
        room = max(available_bytes(self._devices) - own, 0)
        size, _ = choose_chunk(
            self._chunk, self._most, footprint, self._mode, room, count
        )
        size = -(-self._total // -(-self._total // size))
        return padded(size, count)

    def share(self, along: Slice) -> Slice:
        """The slice on every device, for many calls."""
        return self._place.share(along)

    def __call__(self, along: Slice, coordinates_N2: np.ndarray, size: int) -> Found:
        """Losses and accuracies (N,), None in a regression, by (split, statistics).

        Args:
          along: what `share` returned.
          coordinates_N2: at most ``size`` points.
          size: what `tile` returned.

        Raises:
          UserError: a device ran out of memory.
        """
        count = len(coordinates_N2)
        # What fills up the last tile is its last point again.
        places = np.minimum(np.arange(size), count - 1)
        full = coordinates_N2[places].astype(np.float32)
        with out_of_memory(
            f"out of memory with {size} points at once; a smaller --member_chunk or "
            "--batch needs less"
        ):
            found: Any = self._over(self._place.split(full), along, self._shared)
            found = jax.device_get(found)
        found = jax.tree.map(lambda x: np.asarray(x)[:count], found)
        return {(split, kind): found[split][kind] for split, kind in self._order}


def _batch(cell: CellConfig, config: LandscapeConfig, kind: str, platform: str) -> int:
    """Images at a time; their number matters to batch statistics alone."""
    if kind == "batch" and NORMS[cell.norm].running:
        return config.batch or cell.batch_size
    return _BATCH.get(platform, _BATCH_ELSEWHERE)
