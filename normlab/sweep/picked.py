"""The training images that members of a cell train on, or are evaluated on."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from normlab.cell import Cell
from normlab.data.batches import batch_indices, current_order, held_out, trained_on


def seen(cell: Cell, members: Sequence[int] | np.ndarray, step: int) -> np.ndarray:
    """int32 (members, train_eval_size + validation): the images to evaluate on.

    First come those that were trained on, and then those that are held out.
    """
    config = cell.config
    count, size, out = config.train_eval_size, config.train_size, config.validation
    seeds = [cell.members[i].seed for i in members]
    if config.train_eval == "fixed" and not out:
        return np.broadcast_to(np.arange(count, dtype=np.int32), (len(seeds), count))
    order, batch = config.batch_order, config.batch_size

    def of_seed(seed: int) -> np.ndarray:
        if config.train_eval == "fixed":
            now = trained_on(seed, size, out)
        else:
            now = current_order(seed, step, batch, size, order, out)
        return np.concatenate([now[:count], held_out(seed, size, out)])

    return np.stack([of_seed(seed) for seed in seeds])


def batches(
    cell: Cell,
    members: Sequence[int] | np.ndarray,
    step: int,
    count: int,
    call_steps: int,
) -> np.ndarray:
    """int32 (members, call_steps, batch size); ``count`` rows are used."""
    config = cell.config
    size, order = config.train_size, config.batch_order

    @lru_cache
    def of_seed(seed: int) -> np.ndarray:
        rows = batch_indices(
            seed, step, count, config.batch_size, size, order, config.validation
        )
        return np.pad(rows, ((0, call_steps - count), (0, 0)))

    return np.stack([of_seed(cell.members[i].seed) for i in members])
