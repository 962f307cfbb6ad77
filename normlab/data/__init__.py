"""Datasets by name. To add one, write a file with ``load``, and a line in DATASETS.

A regression also needs its name in `normlab.data.tasks.REGRESSIONS`. A dataset of
one's own is named by a flag (`normlab.data.adopted`, ``npz:FILE``, ``tfds:NAME``).
"""

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
from normlab.data.dataset import Dataset, subset
from normlab.data.folders import data_dir
from normlab.registry import Registry

__all__ = ["DATASETS", "Dataset", "data_dir", "load", "subset"]

DATASETS: Registry[Callable[[Path | None], Dataset]] = Registry(
    "dataset",
    {
        "cifar10": cifar10.load,
        "digits": digits.load,
        "fashion_mnist": fashion_mnist.load,
        "gaussian": gaussian.load,
        "gaussian_uniform": gaussian.load_uniform,
        "mnist": mnist.load,
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
