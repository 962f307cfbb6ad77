"""Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017): clothes, in the format of MNIST."""

from pathlib import Path

from normlab.data import prepared
from normlab.data.dataset import Dataset
from normlab.data.spec import FASHION_MNIST, Spec


def load(data_dir: Path | None = None, spec: Spec = FASHION_MNIST) -> Dataset:
    """The prepared dataset, as `normlab.data.prepared.load` has it."""
    return prepared.load(spec, data_dir)
