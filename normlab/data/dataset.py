"""The form of every dataset: two splits of inputs, each with its targets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from normlab.errors import UserError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and targets, in a fixed order.

    Attributes:
      name: the key in `normlab.data.DATASETS`.
      train_x: uint8 [N, H, W, C], or float32 of that shape if the inputs are not
        images. It may be memory-mapped and read-only.
      train_y: uint8 [N], the index of the class; float32 [N, K] in a regression.
      test_x: like ``train_x``, [M, H, W, C].
      test_y: like ``train_y``.
      classes: the names of the network's outputs: of the classes, by index, or of the K
        numbers of a regression.
      task: ``classification`` or ``regression``.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: tuple[str, ...]
    task: str = "classification"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one image."""
        height, width, channels = self.train_x.shape[1:]
        return height, width, channels


@dataclass(frozen=True)
class OwnDataset:
    """An entry of `normlab.data.DATASETS`, which loads a dataset of this project.

    Attributes:
      load: folder of the prepared data -> the dataset.
      chance: the share of the most frequent class, in that split where it is larger:
        the accuracy of a network with one answer. NaN for a regression.
    """

    load: Callable[[Path | None], Dataset]
    chance: float

    def __call__(self, data_dir: Path | None) -> Dataset:
        """The dataset, from the folder of the prepared data."""
        return self.load(data_dir)


def subset(dataset: Dataset, train_size: int | None) -> Dataset:
    """The dataset with only its first ``train_size`` training images.

    The order is that of the dataset, so a larger subset contains a smaller one. The
    test split is not changed. None keeps every image.

    Raises:
      UserError: ``train_size`` is below 1 or above the number of images.
    """
    if train_size is None:
        return dataset
    available = len(dataset.train_x)
    if not 1 <= train_size <= available:
        raise UserError(
            f"a training set of {train_size} images was asked for, but {dataset.name} "
            f"has {available}: choose between 1 and {available}"
        )
    return replace(
        dataset,
        train_x=dataset.train_x[:train_size],
        train_y=dataset.train_y[:train_size],
    )
