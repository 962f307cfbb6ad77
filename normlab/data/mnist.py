"""MNIST (LeCun, Cortes & Burges, 1998): handwritten digits."""

from pathlib import Path

from normlab.data import prepared
from normlab.data.dataset import Dataset
from normlab.data.spec import MNIST, Spec


def load(data_dir: Path | None = None, spec: Spec = MNIST) -> Dataset:
    """The prepared dataset, as `normlab.data.prepared.load` has it."""
    return prepared.load(spec, data_dir)
