"""Handwritten digits, embedded: 1797 images of 8x8, real data in a small file.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, licensed under
CC BY 4.0. These are its 1797 test images in the order in which scikit-learn's
``load_digits`` ships them. Changed here: the grey levels 0..16 became uint8 0..255
by ``round(v * 255 / 16)``, and the images were split into 1500 for training and 297
for testing.

The split is systematic, so it needs no random numbers, and each class keeps its share
to within one image. In the order sorted by label (stable), position ``p`` is for
testing if ``(p + 1) * 297 // 1797 > p * 297 // 1797``. Each split keeps the original
order. The test of this file rebuilds the arrays from scikit-learn.
"""

from pathlib import Path

import numpy as np

from normlab.data.dataset import Dataset

_FILE = Path(__file__).with_name("digits.npz")

DIGESTS = {
    "train_x": "e41acd2301066f785c08a32fbdfbf51d7040c527261f72f74608d6163732e556",
    "train_y": "347b87a4ad49cbbbcbac30dfc22f608ccc90fa98071ecb7a87139a4f6654910e",
    "test_x": "1bbabe059cf41d12a969f777391c2fbcff6b961ffe1bf3fea2cdf12c14369a49",
    "test_y": "2dcdede50e56247618f5ae783ad3ba32af359b384ffc6df166e640dd5b61dfcc",
}
"""sha256 of the bytes of each array."""


def load(data_dir: Path | None = None) -> Dataset:
    """The embedded dataset. ``data_dir`` is ignored."""
    del data_dir
    with np.load(_FILE, allow_pickle=False) as arrays:
        return Dataset(
            name="digits",
            train_x=arrays["train_x"],
            train_y=arrays["train_y"],
            test_x=arrays["test_x"],
            test_y=arrays["test_y"],
            classes=tuple("0123456789"),
        )
