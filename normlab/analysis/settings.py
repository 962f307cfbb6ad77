"""What a measurement of a stored run is told."""

from dataclasses import dataclass

from normlab.checks import EXECUTION, check_devices
from normlab.errors import UserError
from normlab.settings import flag


@dataclass(frozen=True)
class AnalysisOptions:
    """Which run, which quantities, how."""

    run: str = flag("", "The run directory.")
    quantities: tuple[str, ...] = flag((), "What to measure (normlab.quantities).")
    every: int = flag(
        0, "Measure at steps that this divides, and the last; 0 is all stored ones."
    )
    data_dir: str = flag(
        "", "Where datasets live; else NORMLAB_DATA_DIR, else a cache folder."
    )
    execution: str = flag(
        "auto", f"How members of a cell are executed: {', '.join(EXECUTION)}."
    )
    devices: str = flag("auto", "Devices that share a cell's members: a number, auto.")
    member_chunk: str = flag(
        "auto", "Members on the devices at once: a number, or auto (by memory)."
    )

    def __post_init__(self) -> None:
        if not self.run:
            raise UserError("give the run directory: --run=...")
        if not self.quantities:
            raise UserError("say what to measure: --quantities=gradient_norm,...")
        if self.every < 0:
            raise UserError(f"--every={self.every}: must be 0 or more")
        check_devices(self)
