"""How a sweep is run: what changes no number it finds beyond rounding."""

from dataclasses import dataclass

from normlab.checks import EXECUTION, at_least, check_devices
from normlab.settings import flag


@dataclass(frozen=True)
class RunOptions:
    """How to run a sweep; nothing here changes a number it finds beyond rounding."""

    out: str = flag("", "The run directory; runs/<flagfile's name> by default.")
    data_dir: str = flag(
        "", "Where datasets live; else NORMLAB_DATA_DIR, else a cache folder."
    )
    execution: str = flag(
        "auto", f"How members of a cell are executed: {', '.join(EXECUTION)}."
    )
    devices: str = flag(
        "auto",
        "Devices that share a cell's members: a number, or auto (all there are; a CPU "
        "counts as one for every core). A loop uses one.",
    )
    member_chunk: str = flag(
        "auto",
        "Members on the devices at once: a number (rounded up to a multiple of the "
        "devices), or auto (by memory).",
    )
    deterministic: bool = flag(
        False,
        "The same bits at every start on the same machine, on a GPU too (slower "
        "there); memory is shared out as if no other program used any.",
    )
    chunk_steps: int = flag(100, "Steps under one jitted call.")
    checkpoint_seconds: float = flag(60.0, "Least time between checkpoints.")
    keep_checkpoints: int = flag(2, "How many resumable states to keep.")
    compilation_cache: str = flag(
        "auto", "Folder for compiled programs; auto is beside the data, none is off."
    )
    tensorboard: bool = flag(
        False,
        "At the end, write RUN/tensorboard for TensorBoard, too (pip install "
        "'normlab[tensorboard]').",
    )
    dry_run: bool = flag(False, "Print the plan and stop.")

    def __post_init__(self) -> None:
        check_devices(self)
        at_least(self, "chunk_steps", 1)
        at_least(self, "keep_checkpoints", 1)
        at_least(self, "checkpoint_seconds", 0)
