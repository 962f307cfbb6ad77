"""How a sweep is run: options that change results only by rounding."""

import math
from dataclasses import dataclass
from typing import ClassVar

from normlab.checks import check_devices, check_settings
from normlab.errors import UserError
from normlab.settings import DeviceSettings, flag


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(DeviceSettings):
    """Several processes or nodes for one run."""

    GROUP: ClassVar[str] = "cluster"

    engine: str = flag(
        "inline",
        "What runs the cells: inline (one after another in this process), or ray (on "
        "the nodes of a cluster; pip install 'normlab[ray]').",
    )
    ray_address: str = flag(
        "",
        "Address of the Ray cluster. Default: RAY_ADDRESS, or a cluster on this "
        "machine, which is started if necessary.",
    )
    ray_retries: int = flag(
        3, "How often Ray runs a cell again after losing its node or process.", low=0
    )
    cell_cpus: float = flag(
        1.0,
        "CPUs for each cell on a Ray cluster. Without a GPU this is also the number of "
        "devices for its members, unless --devices is given.",
        above=0,
    )
    cell_gpus: str = flag(
        "auto",
        "GPUs for each cell on a Ray cluster: a number, possibly a fraction, or auto "
        "(1 if the cluster has GPUs, else 0).",
    )
    shard: str = flag(
        "",
        "Run only part i of n of the cells, given as i/n with i from 0 to n - 1 (for "
        "job arrays). The parts may run at the same time.",
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(ClusterOptions):
    """How to run a sweep. These options change results only by rounding."""

    GROUP: ClassVar[str] = "running"

    out: str = flag("", "The run directory. Default: runs/<flagfile's name>.")
    deterministic: bool = flag(
        False,
        "Give the same bits at every start on the same machine, on a GPU too (slower "
        "there). The plan assumes that no other program uses memory.",
    )
    call_steps: int = flag(100, "Most training steps in one jitted call.", low=1)
    checkpoint_seconds: float = flag(
        60.0, "Minimum time between checkpoints, in seconds.", low=0
    )
    keep_checkpoints: int = flag(2, "How many resumable states to keep.", low=1)
    compilation_cache: str = flag(
        "auto", "Folder for compiled programs, auto (beside the data) or none (off)."
    )
    tensorboard: bool = flag(
        False,
        "Also write RUN/tensorboard for TensorBoard at the end (pip install "
        "'normlab[tensorboard]').",
    )
    extend: bool = flag(
        False,
        "Add to the run in --out what the flags ask for beyond it: values of an axis, "
        "seeds or steps. What is stored stays as it is.",
    )
    status: bool = flag(
        False, "Print how far the run in --out is, cell by cell, and stop."
    )
    dry_run: bool = flag(False, "Print the plan and stop.")

    def __post_init__(self) -> None:
        check_settings(self)
        check_devices(self)
        self.gpus(0)
        self.part()

    def gpus(self, auto: float) -> float:
        """``cell_gpus`` as a number; ``auto`` if it is "auto".

        Raises:
          UserError: it is not a number, or is a fraction above 1.
        """
        if self.cell_gpus == "auto":
            return auto
        try:
            count = float(self.cell_gpus)
        except ValueError:
            count = math.nan
        if not (0 <= count <= 1 or count > 1 and count.is_integer()):
            raise UserError(
                f"--cell_gpus={self.cell_gpus}: give a whole number, a fraction below "
                "1, or auto"
            )
        return count

    def part(self) -> tuple[int, int]:
        """``shard`` as (i, n); (0, 1) means all cells.

        Raises:
          UserError: it does not have the form i/n.
        """
        words = (self.shard or "0/1").split("/")
        if len(words) == 2 and all(w.isascii() and w.isdigit() for w in words):
            index, count = map(int, words)
            if index < count:
                return index, count
        raise UserError(f"--shard={self.shard}: give i/n, with i from 0 to n - 1")
