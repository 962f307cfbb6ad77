"""The training images that members of a cell train on, or are evaluated on."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from normlab.cell import Cell
from normlab.data.batches import batch_indices, current_order


def seen(cell: Cell, members: Sequence[int] | np.ndarray, step: int) -> np.ndarray:
    """int32 (members, train_eval_size): the training images to evaluate on."""
    config = cell.config
    count, size = config.train_eval_size, config.train_size
    seeds = [cell.members[i].seed for i in members]
    if config.train_eval == "fixed":
        return np.broadcast_to(np.arange(count, dtype=np.int32), (len(seeds), count))
    order = config.batch_order
    now = [current_order(s, step, config.batch_size, size, order) for s in seeds]
    return np.stack(now)[:, :count]


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
        rows = batch_indices(seed, step, count, config.batch_size, size, order)
        return np.pad(rows, ((0, call_steps - count), (0, 0)))

    return np.stack([of_seed(cell.members[i].seed) for i in members])
