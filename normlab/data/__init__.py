"""Datasets by name. To add one, write a file with ``load``, and a line in DATASETS.

A regression also needs its name in `normlab.data.tasks.REGRESSIONS`.
"""

from collections.abc import Callable
from pathlib import Path

from normlab.data import cifar10, digits, fashion_mnist, gaussian, mnist
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
)


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The dataset called ``name``. Never uses the network.

    Args:
      name: a key of `DATASETS`.
      data_dir: the folder of the prepared data; by default `normlab.data.data_dir()`.

    Raises:
      UserError: there is no such dataset, or it is not prepared.
    """
    return DATASETS.find(name)(data_dir)
