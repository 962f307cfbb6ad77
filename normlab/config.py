"""The configuration that a flagfile describes: a frozen dataclass and its checks.

Names from a registry (does this norm exist?) are checked where the registry is defined.
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
# The axes that appear in the label of a cell's norm.
LABEL_AXES = named(CellConfig, in_label=True)
# The axes of a cell's members, besides their seeds.
MEMBER_AXES = named(MemberSettings, axis="member")

_Axes: Any = axes_of(NetworkSettings, NormSettings, TrainingSettings, MemberSettings)


@dataclass(frozen=True, kw_only=True)
class SweepConfig(RecordingSettings, _Axes, ProbeSettings):
    """Everything that one flagfile asks for. Equal configs give equal numbers.

    Tuples are axes: `STATIC_AXES` and `MEMBER_AXES`.
    """

    num_seeds: int = flag(3, "Number of seeds (members), from --seed on.", low=1)
    epochs: float = flag(
        0.0, "Length of training in epochs (or give --steps).", low=0, high=LONGEST
    )
    eval_epochs: float = flag(
        1.0, "Number of epochs between evaluations.", above=0, before=1.0
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.seed + self.num_seeds > 2**31:
            raise UserError(f"--seed={self.seed}: seeds must stay below 2**31")
        if self.epochs and self.steps:
            raise UserError(
                "--epochs and --steps are both given; give one "
                "(--epochs=0 takes back that of a flagfile)"
            )
        if not (self.epochs or self.steps):
            raise UserError("give the length of training: --epochs or --steps")
