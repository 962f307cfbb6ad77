"""What a flagfile says: a frozen dataclass and its checks.

What depends on a registry (is there such a norm?) is checked where the registry is.
"""

from dataclasses import dataclass
from typing import Any

from normlab.cell import CellConfig
from normlab.checks import check_settings
from normlab.errors import UserError
from normlab.settings import (
    MemberSettings,
    NetworkSettings,
    NormSettings,
    ProbeSettings,
    RecordingSettings,
    TrainingSettings,
    axes_of,
    flag,
    named,
)
from normlab.settings.recording import LONGEST

# Each combination of their values is a cell, one compiled program.
STATIC_AXES = named(CellConfig, axis="static")
# Those that the label of a cell's norm shows.
LABEL_AXES = named(CellConfig, in_label=True)
# The members of every cell: their seeds, and these.
MEMBER_AXES = named(MemberSettings, axis="member")

_Axes: Any = axes_of(NetworkSettings, NormSettings, TrainingSettings, MemberSettings)


@dataclass(frozen=True, kw_only=True)
class SweepConfig(RecordingSettings, _Axes, ProbeSettings):
    """Everything one flagfile asks for; two equal configs give equal numbers.

    Tuples are axes: `STATIC_AXES` and `MEMBER_AXES`.
    """

    num_seeds: int = flag(3, "How many seeds, counted from --seed (members).", low=1)
    epochs: float = flag(
        0.0, "Length of training in epochs; or give --steps.", low=0, high=LONGEST
    )
    eval_epochs: float = flag(
        1.0, "Evaluate every this many epochs.", above=0, before=1.0
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.seed + self.num_seeds > 2**31:
            raise UserError(f"--seed={self.seed}: seeds must stay below 2**31")
        if self.epochs and self.steps:
            raise UserError("--epochs and --steps are both given; give one")
        if not (self.epochs or self.steps):
            raise UserError("give the length of training: --epochs or --steps")
