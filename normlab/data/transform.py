"""From stored images to the network's inputs: standardisation and augmentation.

The statistics are computed once, on the host. `standardize` and `augment` are pure and
run inside the jitted step, so images stay on the device as uint8. Augmentation comes
after standardisation, so that the zeros of its padding are the mean image.
"""

import jax
import jax.numpy as jnp
import numpy as np

from normlab.settings.training import AUGMENT, STANDARDIZE

_AT_ONCE = 1000  # images at a time; 1000 squares of a uint8 fit in a uint32
_PAD = 4


def feature_statistics(
    train_x: np.ndarray, standardization: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the training images.

    Args:
      train_x: uint8 or float32 [N, H, W, C], N at least 1.
      standardization: ``feature`` (each pixel of each channel), ``channel`` (each
        channel, over all pixels), or ``none``: mean 0 and deviation 255 for uint8, so
        that images are in [0, 1]; deviation 1 for floats, which changes nothing.

    Returns:
      (mean, std), float32, broadcastable to [H, W, C]: of that shape for
      ``feature``, [1, 1, C] for ``channel`` and [1, 1, 1] for ``none``. The deviation
      is the population's (divided by N).

    Raises:
      ValueError: unknown ``standardization``.
    """
    if standardization not in STANDARDIZE:
        known = ", ".join(STANDARDIZE)
        raise ValueError(
            f"unknown standardization {standardization!r}: the known ones are {known}"
        )
    if standardization == "none":
        one = np.ones((1, 1, 1), np.float32)
        return 0 * one, (255 if train_x.dtype == np.uint8 else 1) * one
    moments = _exact_moments if train_x.dtype == np.uint8 else _moments
    mean, variance = moments(train_x, standardization)
    std = np.sqrt(variance)
    # A constant pixel (digits has some) has no information: 1 keeps it at 0, not NaN.
    std[std == 0] = 1
    return mean.astype(np.float32), std.astype(np.float32)


def _moments(x_NHWC: np.ndarray, standardization: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of float32 inputs, over the axes of ``standardization``.

    Computed in float64, which sums equal float32 numbers without rounding, so that the
    variance of a constant is exactly 0.
    """
    x, axes = (
        x_NHWC.astype(np.float64),
        0 if standardization == "feature" else (0, 1, 2),
    )
    return x.mean(axes, keepdims=True)[0], x.var(axes, keepdims=True)[0]


def _exact_moments(
    x_NHWC: np.ndarray, standardization: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of uint8 images, from exact sums."""
    total, squares = _sums(x_NHWC)
    count = len(x_NHWC)
    if standardization == "channel":
        total = total.sum((0, 1), keepdims=True)
        squares = squares.sum((0, 1), keepdims=True)
        count *= x_NHWC.shape[1] * x_NHWC.shape[2]
    # Python integers are exact, so a constant pixel has a variance of exactly 0.
    total, squares = total.astype(object), squares.astype(object)
    mean = (total / count).astype(np.float64)
    return mean, ((count * squares - total**2) / count**2).astype(np.float64)


def _sums(x_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of x and of x**2 over the images: two int64 [H, W, C], exact."""
    total = np.zeros(x_NHWC.shape[1:], np.int64)
    squares = np.zeros(x_NHWC.shape[1:], np.int64)
    for start in range(0, len(x_NHWC), _AT_ONCE):
        images = np.asarray(x_NHWC[start : start + _AT_ONCE])
        total += images.sum(0, dtype=np.uint32)
        squares += np.square(images, dtype=np.uint16).sum(0, dtype=np.uint32)
    return total, squares


def standardize(x_NHWC: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """``(x - mean) / std`` in float32.

    Args:
      x_NHWC: uint8 or float [N, H, W, C].
      mean: float32, broadcastable to [H, W, C] and of three dimensions.
      std: like ``mean``.
    """
    return (x_NHWC.astype(jnp.float32) - mean[None]) / std[None]


def augment(key: jax.Array, x_NHWC: jax.Array, augmentation: str) -> jax.Array:
    """Random changes of each image, all drawn from one key.

    Args:
      key: a random key; the same key gives the same batch.
      x_NHWC: [N, H, W, C], standardised.
      augmentation: ``none``; ``flip`` (left-right, half of the images); ``crop`` (pad
        by 4 zeros on each side, cut out a window of the old size); ``flip_crop``: both.

    Returns:
      An array of the shape and type of ``x_NHWC``.

    Raises:
      ValueError: unknown ``augmentation``.
    """
    if augmentation not in AUGMENT:
        known = ", ".join(AUGMENT)
        raise ValueError(
            f"unknown augmentation {augmentation!r}: the known ones are {known}"
        )
    flip_key, crop_key = jax.random.split(key)
    if augmentation in ("flip", "flip_crop"):
        x_NHWC = _flip(flip_key, x_NHWC)
    if augmentation in ("crop", "flip_crop"):
        x_NHWC = _crop(crop_key, x_NHWC)
    return x_NHWC


def _flip(key: jax.Array, x_NHWC: jax.Array) -> jax.Array:
    flipped_N = jax.random.bernoulli(key, shape=x_NHWC.shape[:1])
    return jnp.where(flipped_N[:, None, None, None], x_NHWC[:, :, ::-1, :], x_NHWC)


def _crop(key: jax.Array, x_NHWC: jax.Array) -> jax.Array:
    count, *image_shape = x_NHWC.shape
    corners_N2 = jax.random.randint(key, (count, 2), 0, 2 * _PAD + 1)
    padded = jnp.pad(x_NHWC, ((0, 0), (_PAD, _PAD), (_PAD, _PAD), (0, 0)))

    def cut(image_HWC, corner):
        return jax.lax.dynamic_slice(image_HWC, (*corner, 0), image_shape)

    return jax.vmap(cut)(padded, corners_N2)
