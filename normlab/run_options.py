"""How a sweep is run: what changes no number it finds beyond rounding."""

import math
from dataclasses import dataclass

from normlab.checks import check_devices, check_settings
from normlab.errors import UserError
from normlab.settings import DeviceSettings, flag


@dataclass(frozen=True, kw_only=True)
class RunOptions(DeviceSettings):
    """How to run a sweep; nothing here changes a number it finds beyond rounding."""

    out: str = flag("", "The run directory; runs/<flagfile's name> by default.")
    deterministic: bool = flag(
        False,
        "The same bits at every start on the same machine, on a GPU too (slower "
        "there); memory is shared out as if no other program used any.",
    )
    call_steps: int = flag(100, "Steps under one jitted call.", low=1)
    checkpoint_seconds: float = flag(
        60.0, "Least time between checkpoints, in seconds.", low=0
    )
    keep_checkpoints: int = flag(2, "How many resumable states to keep.", low=1)
    compilation_cache: str = flag(
        "auto", "Folder for compiled programs; auto is beside the data, none is off."
    )
    tensorboard: bool = flag(
        False,
        "At the end, write RUN/tensorboard for TensorBoard, too (pip install "
        "'normlab[tensorboard]').",
    )
    engine: str = flag(
        "inline",
        "What runs the cells: inline, one after another in this process, or ray, on "
        "the nodes of a cluster (pip install 'normlab[ray]').",
    )
    ray_address: str = flag(
        "",
        "The Ray cluster; by default RAY_ADDRESS, else one on this machine, started "
        "if need be.",
    )
    ray_retries: int = flag(
        3, "How often Ray runs a cell again whose node or process was lost.", low=0
    )
    cell_cpus: float = flag(
        1.0,
        "CPUs of a cell on a Ray cluster; without a GPU also the devices that its "
        "members are spread over, unless --devices names them.",
        above=0,
    )
    cell_gpus: str = flag(
        "auto",
        "GPUs of a cell on a Ray cluster: a number, which may be a fraction, or auto "
        "(1 where the cluster has any, else 0).",
    )
    shard: str = flag(
        "",
        "Run only part i of n of the cells, as i/n from 0/n on: a job of an array. The "
        "parts may run at the same time.",
    )
    status: bool = flag(
        False, "Say how far the run in --out is, cell by cell, and stop."
    )
    dry_run: bool = flag(False, "Print the plan and stop.")

    def __post_init__(self) -> None:
        check_settings(self)
        check_devices(self)
        self.gpus(0)
        self.part()

    def gpus(self, auto: float) -> float:
        """``cell_gpus`` as a number, ``auto`` for auto.

        Raises:
          UserError: it is neither, or a part of more than one GPU.
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
        """``shard`` as (i, n); (0, 1) is everything.

        Raises:
          UserError: it is not of that form.
        """
        words = (self.shard or "0/1").split("/")
        if len(words) == 2 and all(w.isascii() and w.isdigit() for w in words):
            index, count = map(int, words)
            if index < count:
                return index, count
        raise UserError(f"--shard={self.shard}: give i/n, with i from 0 to n - 1")
