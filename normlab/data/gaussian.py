"""Linear maps of Gaussian vectors, to be learned (Santurkar et al. 2018).

y = A x, where x is a vector of 10 standard normal numbers and A is a 10x10 matrix, the
same for all x (their appendix A; they use 1000 samples as one batch). This dataset has
1000 pairs for training and 1000 for testing.

In ``gaussian`` the matrix has standard normal numbers, as in the paper, which gives no
scale. In ``gaussian_uniform`` its numbers are uniform in [0, 1). This is our inference:
the paper's loss curves fit such a matrix, whose mean makes one direction stand out.
They fit no normal matrix of any scale (experiments/santurkar_dln.flags).

Nothing is stored. Each load computes the numbers from three Philox streams, with keys
(0, 0) for either A, (0, 1) for the training and (0, 2) for the test vectors. NumPy
keeps a bit generator's raw stream stable for ever, but not what its ``Generator``
computes from it. So the normal numbers come from Box and Muller's transform in float64.
"""

from pathlib import Path

import numpy as np

from normlab.data.dataset import Dataset

DIMENSION = 10
COUNT = 1000

_X_DIGESTS = {
    "train_x": "18fa1ca97e5695201462bc85b3f927694407efbbabe50a6f1e9d7cf6b9a790b3",
    "test_x": "341030f282c3c12cffa585ed3c95eeeb6dcba84893fe7f73dc3fbbe4dc55d570",
}
DIGESTS = {
    "gaussian": _X_DIGESTS
    | {
        "train_y": "2da459043268d19ca858e64422591bf6c9eb1924a8e87843fdb250d28b127604",
        "test_y": "a4e87030ba625fdb95801455e9d747d500a01fb818a69fa4335f8ae049b2b1c3",
    },
    "gaussian_uniform": _X_DIGESTS
    | {
        "train_y": "aa913faee00140d983f078df045c93821d9fa94bae9171f0e41046b58baf6d61",
        "test_y": "c4c2f3755a9c2d8b90bac481dce36a84f419d5564e1e1340954092d6876dc34a",
    },
}
"""sha256 of the bytes of each array, by dataset."""


def load(data_dir: Path | None = None) -> Dataset:
    """The pairs of a normal matrix. ``data_dir`` is ignored."""
    del data_dir
    return _pairs("gaussian", normal(0, DIMENSION, DIMENSION))


def load_uniform(data_dir: Path | None = None) -> Dataset:
    """The pairs of a uniform matrix. ``data_dir`` is ignored."""
    del data_dir
    matrix_KD = uniform(0, DIMENSION, DIMENSION)
    return _pairs("gaussian_uniform", _rounded(matrix_KD))


def uniform(stream: int, *shape: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 of that shape, 53 bits each."""
    key = np.array([0, stream], np.uint64)
    bits = np.random.Philox(key=key).random_raw(int(np.prod(shape))) >> 11
    return bits.reshape(shape) / 2.0**53


def normal(stream: int, *shape: int) -> np.ndarray:
    """Standard normal numbers, float64 of that shape, on float32's grid."""
    u1, u2 = uniform(stream, 2, *shape)
    return _rounded(np.sqrt(-2 * np.log1p(-u1)) * np.cos(2 * np.pi * u2))


def _rounded(x: np.ndarray) -> np.ndarray:
    """The nearest float32 numbers, as float64."""
    return x.astype(np.float32).astype(np.float64)


def _pairs(name: str, matrix_KD: np.ndarray) -> Dataset:
    """Both splits, float32: x [N, 1, 1, D], images of one pixel, and y [N, K]."""
    arrays = {}
    for stream, split in ((1, "train"), (2, "test")):
        x_ND = normal(stream, COUNT, DIMENSION)
        arrays[f"{split}_x"] = x_ND[:, None, None, :].astype(np.float32)
        arrays[f"{split}_y"] = (x_ND @ matrix_KD.T).astype(np.float32)
    outputs = tuple(f"y{k}" for k in range(len(matrix_KD)))
    return Dataset(name=name, classes=outputs, task="regression", **arrays)
