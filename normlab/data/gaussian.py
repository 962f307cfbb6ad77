"""A linear map of Gaussian vectors, to be learned; after Santurkar et al. 2018.

y = A x, where x is a vector of 10 standard normal numbers and A a 10x10 matrix of such
numbers, the same for all x (their appendix A; they use 1000 samples as one batch). They
do not state the scale of A. Here are 1000 pairs for training and 1000 for testing.

Nothing is stored: the numbers are made at every load from three Philox streams, with
keys (0, 0) for A, (0, 1) for the training and (0, 2) for the test vectors. NumPy
promises a bit generator's raw stream for ever, but not what its ``Generator`` makes of
it; so the normal numbers are made here, by Box and Muller's transform in float64.
"""

from pathlib import Path

import numpy as np

from normlab.data.dataset import Dataset

DIMENSION = 10
COUNT = 1000

DIGESTS = {
    "train_x": "18fa1ca97e5695201462bc85b3f927694407efbbabe50a6f1e9d7cf6b9a790b3",
    "train_y": "2da459043268d19ca858e64422591bf6c9eb1924a8e87843fdb250d28b127604",
    "test_x": "341030f282c3c12cffa585ed3c95eeeb6dcba84893fe7f73dc3fbbe4dc55d570",
    "test_y": "a4e87030ba625fdb95801455e9d747d500a01fb818a69fa4335f8ae049b2b1c3",
}
"""sha256 of the bytes of each array."""


def load(data_dir: Path | None = None) -> Dataset:
    """The pairs; ``data_dir`` is not used."""
    del data_dir
    matrix_KD = matrix()
    train_x, test_x = (normal(stream, COUNT, DIMENSION) for stream in (1, 2))
    return Dataset(
        name="gaussian",
        train_x=_images(train_x),
        train_y=_targets(matrix_KD, train_x),
        test_x=_images(test_x),
        test_y=_targets(matrix_KD, test_x),
        classes=tuple(f"y{k}" for k in range(DIMENSION)),
        task="regression",
    )


def matrix() -> np.ndarray:
    """A, float64 [10, 10]."""
    return normal(0, DIMENSION, DIMENSION)


def normal(stream: int, rows: int, columns: int) -> np.ndarray:
    """Standard normal numbers, float64 [rows, columns], rounded to float32's grid.

    Box and Muller's transform of pairs of uniform numbers in [0, 1), 53 bits each: the
    first half of the stream and the second.
    """
    key = np.array([0, stream], np.uint64)
    bits = np.random.Philox(key=key).random_raw(2 * rows * columns) >> 11
    u1, u2 = (bits / 2.0**53).reshape(2, rows, columns)
    z = np.sqrt(-2 * np.log1p(-u1)) * np.cos(2 * np.pi * u2)
    return z.astype(np.float32).astype(np.float64)


def _images(x_ND: np.ndarray) -> np.ndarray:
    """float32 [N, 1, 1, D]: images of one pixel."""
    return x_ND[:, None, None, :].astype(np.float32)


def _targets(matrix_KD: np.ndarray, x_ND: np.ndarray) -> np.ndarray:
    """float32 [N, K]."""
    return (x_ND @ matrix_KD.T).astype(np.float32)
