"""Datasets by name. To add one, write a file with ``load``, and a line in DATASETS.

The chance of a regression is NaN. A dataset of one's own is named by a flag
(`normlab.data.adopted`, ``npz:FILE``, ``tfds:NAME``).
"""

import math
from collections.abc import Callable
from pathlib import Path

from normlab.data import (
    cifar10,
    digits,
    fashion_mnist,
    gaussian,
    mnist,
    npz,
    tfds_any,
)
from normlab.data.adopted import adopt, digest
from normlab.data.dataset import Dataset, OwnDataset, subset
from normlab.data.folders import data_dir
from normlab.registry import Registry

__all__ = ["DATASETS", "Dataset", "data_dir", "load", "subset"]

DATASETS: Registry[Callable[[Path | None], Dataset]] = Registry(
    "dataset",
    {
        "cifar10": OwnDataset(cifar10.load, chance=0.1),
        "digits": OwnDataset(digits.load, chance=0.102),
        "fashion_mnist": OwnDataset(fashion_mnist.load, chance=0.1),
        "gaussian": OwnDataset(gaussian.load, chance=math.nan),
        "gaussian_uniform": OwnDataset(gaussian.load_uniform, chance=math.nan),
        "mnist": OwnDataset(mnist.load, chance=0.1135),
    },
    adopt,
    {"npz": npz.entry, "tfds": tfds_any.entry},
)


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The dataset called ``name``. Never uses the network.

    Args:
      name: a key of `DATASETS`, or a plugin's name.
      data_dir: the folder of the prepared data; by default `normlab.data.data_dir()`.

    Raises:
      UserError: there is no such dataset, or it is not prepared.
    """
    dataset = DATASETS.find(name)(data_dir)
    if name in DATASETS.sources:  # a plugin, which may compute its data
        DATASETS.sources[name]["arrays"] = digest(dataset)
    return dataset
