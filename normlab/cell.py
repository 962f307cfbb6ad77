"""A cell: one compiled program, and the members that run through it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from normlab.serialize import to_json
from normlab.settings import ProbeSettings

# Settings that came after cells had been stored -> what those were run with. They are
# in a cell's name only where they differ, so that stored runs keep theirs.
LATER: dict[str, Any] = {
    "norm_init": "standard",
    "batch_order": "shuffled",
    "train_eval": "fixed",
    "zero_last_scale": False,
}


@dataclass(frozen=True)
class CellConfig(ProbeSettings):
    """One static configuration: one compiled program.

    ``steps``, ``eval_every``, ``probe_every`` and ``train_size`` are resolved numbers
    here; in a `SweepConfig` they may still be 0, which stands for the default.
    """

    dataset: str
    train_size: int
    standardize: str
    augment: str
    model: str
    width: float
    init: str
    norm: str
    groups: int | None
    epsilon: float
    norm_momentum: float
    norm_scale: bool
    norm_bias: bool
    norm_init: str
    zero_last_scale: bool
    norm_p: str
    noise_mean: float
    noise_scale: float
    noise_mean_spread: float
    noise_scale_spread: float
    noise_spread: str
    noise_place: str
    noise_eval: bool
    optimizer: str
    batch_size: int
    batch_order: str
    precision: str
    steps: int
    eval_every: int
    path_every: int
    path_next: bool
    probes: tuple[str, ...]
    probe_every: int
    train_eval_size: int
    train_eval: str
    eval_batch_size: int
    bn_eval: tuple[str, ...]

    @property
    def id(self) -> str:
        """A name for folders: readable, and unique by the hash of all fields."""
        values = json.loads(to_json(self))
        told = {k: v for k, v in values.items() if k not in LATER or v != LATER[k]}
        digest = hashlib.sha256(json.dumps(told, indent=2).encode()).hexdigest()[:8]
        which = self.norm_p if self.norm == "batch_lp" else self.groups or ""
        norm = f"{self.norm}{which}"
        return f"{self.dataset}-{self.model}-{norm}-b{self.batch_size}-{digest}"

    @property
    def label(self) -> str:
        """The norm as figures and tables call it: ``group (G=4)``."""
        return norm_label(self.norm, self.groups, self.norm_p)


def norm_label(norm: str, groups: int | None, p: str = "2") -> str:
    """``"group (G=4)"``, ``"batch l1"``; the name of a norm without such a choice."""
    if norm == "batch_lp":
        return f"batch l{p}"
    return norm if groups is None else f"{norm} (G={groups})"


@dataclass(frozen=True)
class Member:
    """One point of a cell's dynamic axes: data to the program, never a recompile."""

    seed: int
    lr: float
    momentum: float
    weight_decay: float


@dataclass(frozen=True)
class Cell:
    """A static configuration and its members, in a fixed order."""

    config: CellConfig
    members: tuple[Member, ...]

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def member_steps(self) -> int:
        """Steps of all members together."""
        return len(self.members) * self.config.steps
