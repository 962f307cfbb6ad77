"""CIFAR-10 (Krizhevsky, 2009): colour images of ten kinds of things."""

from pathlib import Path

from normlab.data import prepared
from normlab.data.dataset import Dataset
from normlab.data.spec import CIFAR10, Spec


def load(data_dir: Path | None = None, spec: Spec = CIFAR10) -> Dataset:
    """The prepared dataset, as `normlab.data.prepared.load` has it."""
    return prepared.load(spec, data_dir)
