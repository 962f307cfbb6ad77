"""Which images are in which batch: pure index arithmetic on the host.

For each seed, the order is one endless stream of epochs. Each epoch is a new
permutation of all images (except the report's first epoch, which has the order of the
file). Step ``s`` takes positions ``s * batch_size`` up to ``(s + 1) * batch_size``. So
a batch may contain images of two epochs, no image is ever dropped, and the order
depends only on (seed, step).

Some images may be held out for validation, others for each seed. Then the stream is one
of the rest.
"""

import functools

import numpy as np

# Where a seed's epochs never get, so held-out images do not depend on their order.
_HELD_OUT = 2**62


@functools.lru_cache(maxsize=64)
def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """A permutation of ``range(n)``, int32 [n], read-only.

    It is the stable argsort of raw Philox output keyed by (seed, epoch). NumPy keeps
    the raw stream of a bit generator stable for ever, but not the algorithm of
    ``Generator.permutation``. So any later NumPy can replay an old run.
    """
    bits = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(n)
    order = np.argsort(bits, kind="stable").astype(np.int32)
    order.setflags(write=False)  # callers share the cached array
    return order


def epoch_order(seed: int, epoch: int, n: int, order: str = "shuffled") -> np.ndarray:
    """The images of one epoch in the order of training: int32 [n].

    Args:
      order: ``shuffled``, or ``report``, where the first epoch has the file's order.
    """
    if order == "report" and epoch == 0:
        return np.arange(n, dtype=np.int32)
    return permutation(seed, epoch, n)


def held_out(seed: int, n: int, count: int) -> np.ndarray:
    """The images of ``range(n)`` that a seed holds out: int32 [count], rising.

    More images include fewer ones. They do not depend on training.
    """
    return np.sort(permutation(seed, _HELD_OUT, n)[:count])


@functools.lru_cache(maxsize=64)
def trained_on(seed: int, n: int, validation: int = 0) -> np.ndarray:
    """The other images: int32 [n - validation], rising, read-only."""
    kept = np.sort(permutation(seed, _HELD_OUT, n)[validation:])
    kept.setflags(write=False)
    return kept


def current_order(
    seed: int,
    step: int,
    batch_size: int,
    n: int,
    order: str = "shuffled",
    validation: int = 0,
) -> np.ndarray:
    """`epoch_order` of the epoch of the last of ``step`` updates."""
    count = n - validation
    epoch = max(step * batch_size - 1, 0) // count
    places = epoch_order(seed, epoch, count, order)
    return trained_on(seed, n, validation)[places] if validation else places


def batch_indices(
    seed: int,
    step: int,
    count: int,
    batch_size: int,
    n: int,
    order: str = "shuffled",
    validation: int = 0,
) -> np.ndarray:
    """The images of ``count`` consecutive batches, from batch number ``step`` on.

    Args:
      seed: selects the stream; at least 0.
      step: number of the first batch, from 0.
      count: the number of batches.
      batch_size: images in a batch; may exceed ``n``.
      n: images in the training set.
      order: as for `epoch_order`.
      validation: of the ``n``, how many are held out (`held_out`).

    Returns:
      int32 [count, batch_size], values in ``range(n)``.
    """
    first = step * batch_size
    positions = np.arange(first, first + count * batch_size, dtype=np.int64)
    left = n - validation
    epochs, offsets = np.divmod(positions, left)
    indices = np.empty(positions.shape, np.int32)
    for epoch in np.unique(epochs):
        in_epoch = epochs == epoch
        places = epoch_order(seed, int(epoch), left, order)
        indices[in_epoch] = places[offsets[in_epoch]]
    if validation:
        indices = trained_on(seed, n, validation)[indices]
    return indices.reshape(count, batch_size)
