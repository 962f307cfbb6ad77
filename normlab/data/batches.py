"""Which images make up which batch: pure index arithmetic on the host.

The order is one endless stream per seed: epoch after epoch, each a fresh permutation
of all images (but for the report's first epoch, whose images come as they are). Step
``s`` takes positions ``s * batch_size`` up to ``(s + 1) * batch_size``, so a batch may
straddle two epochs, no image is ever dropped, and the order depends on (seed, step)
alone.
"""

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """A permutation of ``range(n)``, int32 [n], read-only.

    It is the stable argsort of raw Philox output keyed by (seed, epoch). NumPy
    promises the raw stream of a bit generator for ever, but not the algorithm of
    ``Generator.permutation``; so an old run can be replayed on any later NumPy.
    """
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(n)
    order = np.argsort(bits, kind="stable").astype(np.int32)
    order.setflags(write=False)  # the cache hands the same array to everyone
    return order


def epoch_order(seed: int, epoch: int, n: int, order: str = "shuffled") -> np.ndarray:
    """The images of one epoch, as they are trained on: int32 [n].

    Args:
      order: ``shuffled``, or ``report``: the first epoch in the order of the file.
    """
    if order == "report" and epoch == 0:
        return np.arange(n, dtype=np.int32)
    return permutation(seed, epoch, n)


def current_order(
    seed: int, step: int, batch_size: int, n: int, order: str = "shuffled"
) -> np.ndarray:
    """`epoch_order` of the epoch that the last of ``step`` updates was in."""
    epoch = max(step * batch_size - 1, 0) // n
    return epoch_order(seed, epoch, n, order)


def batch_indices(
    seed: int, step: int, count: int, batch_size: int, n: int, order: str = "shuffled"
) -> np.ndarray:
    """The images of ``count`` consecutive batches, the first being number ``step``.

    Args:
      seed: names the stream; at least 0.
      step: number of the first batch, from 0.
      count: how many batches.
      batch_size: images in a batch; may exceed ``n``.
      n: images in the training set.
      order: as for `epoch_order`.

    Returns:
      int32 [count, batch_size], values in ``range(n)``.
    """
    first = step * batch_size
    positions = np.arange(first, first + count * batch_size, dtype=np.int64)
    epochs, offsets = np.divmod(positions, n)
    indices = np.empty(positions.shape, np.int32)
    for epoch in np.unique(epochs):
        in_epoch = epochs == epoch
        indices[in_epoch] = epoch_order(seed, int(epoch), n, order)[offsets[in_epoch]]
    return indices.reshape(count, batch_size)
