"""Which images make up which batch: pure index arithmetic on the host.

The order is one endless stream per seed: epoch after epoch, each a fresh permutation
of all images. Step ``s`` takes positions ``s * batch_size`` up to
``(s + 1) * batch_size``, so a batch may straddle two epochs, no image is ever
dropped, and the order depends on (seed, step) alone.
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


def batch_indices(
    seed: int, step: int, count: int, batch_size: int, n: int
) -> np.ndarray:
    """The images of ``count`` consecutive batches, the first being number ``step``.

    Args:
      seed: names the stream; at least 0.
      step: number of the first batch, from 0.
      count: how many batches.
      batch_size: images in a batch; may exceed ``n``.
      n: images in the training set.

    Returns:
      int32 [count, batch_size], values in ``range(n)``.
    """
    first = step * batch_size
    positions = np.arange(first, first + count * batch_size, dtype=np.int64)
    epochs, offsets = np.divmod(positions, n)
    indices = np.empty(positions.shape, np.int32)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = permutation(seed, int(epoch), n)[offsets[here]]
    return indices.reshape(count, batch_size)
