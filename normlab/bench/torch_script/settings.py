"""The settings of the PyTorch script; each field is a flag."""

import math
from dataclasses import dataclass

from normlab.errors import UserError
from normlab.settings import flag

NORMS = ("none", "batch", "group")


@dataclass(frozen=True)
class ScriptConfig:
    """One experiment: several learning rates with one seed."""

    dataset: str = flag("cifar10", "The dataset to train on; it must be prepared.")
    data_dir: str = flag("", "Where datasets live; else NORMLAB_DATA_DIR.")
    norm: str = flag("batch", f"The norm: {', '.join(NORMS)} (4 groups).")
    batch_size: int = flag(50, "Number of images per step.")
    lr: tuple[float, ...] = flag((1e-3,), "Learning rates, one after another.")
    epochs: int = flag(2, "Number of epochs.")
    device: str = flag("auto", "cpu, cuda, or auto: CUDA if PyTorch finds it.")
    seed: int = flag(0, "Seed of the initial parameters and the order of images.")
    out: str = flag("torch_run", "The folder for metrics.csv and the checkpoints.")

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError(f"--device={self.device}: unknown; known: auto, cpu, cuda")
        if self.norm not in NORMS:
            raise UserError(f"--norm={self.norm}: unknown; known: {', '.join(NORMS)}")
        for name in ("batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)}: must be 1 or more")
        for lr in self.lr:
            if not (math.isfinite(lr) and lr >= 0):
                raise UserError(f"--lr={lr}: must be 0 or more, and finite")
        if self.seed < 0:
            raise UserError(f"--seed={self.seed}: must be 0 or more")
