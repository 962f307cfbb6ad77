"""A cell: one compiled program, and the members that run through it."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from normlab.plugins import short
from normlab.settings import (
    MemberSettings,
    NetworkSettings,
    NormSettings,
    ProbeSettings,
    RecordingSettings,
    TrainingSettings,
    earlier,
    settings_of,
    stored,
)


# Fields are ordered by these groups, from the last to the first. The ids of stored runs
# depend on this order.
@dataclass(frozen=True, kw_only=True)
class CellConfig(
    RecordingSettings, TrainingSettings, NormSettings, NetworkSettings, ProbeSettings
):
    """One static configuration: one compiled program.

    ``steps``, ``eval_every``, ``probe_every`` and ``train_size`` are resolved numbers
    here; in a `SweepConfig` they may still be 0, which stands for the default.
    """

    @property
    def id(self) -> str:
        """A name for folders: readable, and unique by the hash of all fields.

        A setting that was added later is left out of the hash while it has the value
        that earlier runs had without it, so stored cells keep their ids.
        """
        before = earlier(self).items()
        values = {k: v for k, v in stored(self).items() if (k, v) not in before}
        text = json.dumps(values, indent=2)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        which = self.norm_p if self.norm == "batch_lp" else self.groups or ""
        norm = f"{short(self.norm)}{which}"
        dataset, model = short(self.dataset), short(self.model)
        return f"{dataset}-{model}-{norm}-b{self.batch_size}-{digest}"

    @property
    def label(self) -> str:
        """The norm's name in figures and tables: ``group (G=4)``."""
        return norm_label(self.norm, self.groups, self.norm_p)


def norm_label(norm: str, groups: int | None, p: str = "2") -> str:
    """``"group (G=4)"`` or ``"batch l1"``; for other norms only the (short) name."""
    if norm == "batch_lp":
        return f"batch l{p}"
    norm = short(norm)
    return norm if groups is None else f"{norm} (G={groups})"


@dataclass(frozen=True)
class Member(MemberSettings):
    """One point on a cell's dynamic axes: data to the program, never a recompile."""


# The numeric axes of members. A member's state keeps those of its cell.
HYPERPARAMETERS = tuple(
    spec.name
    for spec, setting in settings_of(Member)
    if setting.axis and spec.type in (int, float)
)


@dataclass(frozen=True)
class Cell:
    """A static configuration and its members, in a fixed order.

    Attributes:
      first: the number of its first member. Members that ``--extend`` added to a stored
        cell are a cell of their own, an addition, and their numbers follow.
      adopted: whether something else trained it (`normlab.adopt`).
    """

    config: CellConfig
    members: tuple[Member, ...]
    first: int = 0
    adopted: bool = False

    @property
    def label(self) -> str:
        """That of the configuration; it says if something else trained the cell."""
        return self.config.label + ", adopted" * self.adopted

    @cached_property  # it is asked for often, and takes a while
    def id(self) -> str:
        """The name of its folder: that of the configuration; of an addition, `+N`."""
        return f"{self.config.id}+{self.first}" if self.first else self.config.id

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """The `HYPERPARAMETERS` that the states of the members keep.

        One that was added later is left out while all members have the value that
        earlier runs had without it. So stored states fit, and programs stay the same.
        """
        before = earlier(Member)
        return tuple(
            name
            for name in HYPERPARAMETERS
            if name not in before
            or any(getattr(member, name) != before[name] for member in self.members)
        )

    @property
    def member_steps(self) -> int:
        """Steps of all members together."""
        return len(self.members) * self.config.steps
