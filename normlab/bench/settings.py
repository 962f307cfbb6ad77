"""The settings of a benchmark; each field is a flag."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.checks import at_most, check_settings
from normlab.errors import UserError
from normlab.run_options import RunOptions
from normlab.settings import flag

# The precisions of a sweep that all contenders support.
PRECISIONS = ("float32", "tf32", "bfloat16")
# The networks and optimizers that the PyTorch peers have.
MODELS = ("small_cnn", "resnet20", "vgg16")
OPTIMIZERS = ("adam", "momentum")
# The maximum of every count. More would not fit into memory, or take too long.
_MOST = 100_000


@dataclass(frozen=True)
class BenchConfig:
    """The blocks to time, each a (norm, batch size, member count), and how."""

    dataset: str = flag(
        "cifar10", "The dataset whose images are used; random: random ones like it."
    )
    data_dir: str = flag("", "Where datasets live; else NORMLAB_DATA_DIR.")
    model: str = flag("small_cnn", "The network.", choices=MODELS)
    optimizer: str = flag("adam", "The optimizer; momentum: 0.9.", choices=OPTIMIZERS)
    norm: tuple[str, ...] = flag(("none", "batch", "group"), "Norms to time.")
    batch_size: tuple[int, ...] = flag((50,), "Batch sizes to time.")
    members: tuple[int, ...] = flag(
        (8,), "Member counts to time: learning rates from 1e-4 to 1e-2 with one seed."
    )
    steps: int = flag(50, "Steps of one timed run; a slow peer gets fewer.")
    repeats: int = flag(5, "Timed runs of each contender, alternating.")
    execution: str = flag("auto", "normlab's way to run members; see normlab.sweep.")
    choose: bool = flag(
        False, "normlab chooses its way by timing all of them, as a long sweep does."
    )
    devices: str = flag("auto", "Devices that normlab uses; see normlab.sweep.")
    precision: str = flag(
        "float32",
        "The precision of products, for all contenders. bfloat16: PyTorch's autocast.",
        choices=PRECISIONS,
    )
    peers: tuple[str, ...] = flag(
        ("all",), "Peers to compare with: names, all, or none."
    )
    tolerance: float = flag(
        2e-3,
        "Largest relative gap between two contenders' losses in the first ten steps, "
        "where a start that differs by rounding leads to no larger one.",
        above=0,
    )
    out: str = flag("", "Write the results to this .json file, with a figure.")

    def __post_init__(self) -> None:
        check_counts(self, "batch_size", "members", "steps", "repeats")
        check_settings(self)
        _ = self.options  # its own checks
        check_out(self.out)

    @property
    def options(self) -> RunOptions:
        """How normlab runs a cell."""
        return RunOptions(
            data_dir=self.data_dir, execution=self.execution, devices=self.devices
        )


def check_counts(settings: Any, *names: str) -> None:
    """Raises UserError unless these settings, or all of their values, are counts."""
    for name in names:
        values = getattr(settings, name)
        for value in values if isinstance(values, tuple) else (values,):
            if value < 1:
                raise UserError(f"--{name}={value}: must be 1 or more")
            at_most(name, value, _MOST)


def check_out(out: str) -> None:
    """Raises UserError unless ``out`` is empty or names a .json file."""
    if out and Path(out).suffix != ".json":
        raise UserError(f"--out={out}: must end in .json")
