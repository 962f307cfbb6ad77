"""The options for measuring a stored run."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.checks import check_devices, check_settings
from normlab.errors import UserError
from normlab.settings import DeviceSettings, flag


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions(DeviceSettings):
    """Which run, which quantities, and how."""

    GROUP: ClassVar[str] = "analysis"

    run: str = flag("", "The run directory.")
    quantities: tuple[str, ...] = flag((), "What to measure.", choices="quantities")
    every: int = flag(
        0,
        "Measure at the steps that this divides and at the last (0: all stored ones).",
        low=0,
    )

    def __post_init__(self) -> None:
        if not self.run:
            raise UserError("give the run directory: --run=...")
        if not self.quantities:
            raise UserError("give what to measure: --quantities=gradient_norm,...")
        check_settings(self)
        check_devices(self)
