"""A cell: one compiled program, and the members that run through it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from normlab.settings import ProbeSettings


@dataclass(frozen=True)
class CellConfig(ProbeSettings):
    """One static configuration: one compiled program.

    ``steps``, ``eval_every``, ``probe_every`` and ``train_size`` are resolved numbers
    here; in a `SweepConfig` they may still be 0, which stands for the default.
    """

    # What fields that came later are in a cell stored before. With these values they
    # are not part of the id, so that such a cell keeps its folder.
    LATER: ClassVar[dict[str, Any]] = {
        "regroup_at": 0,
        "regroup_every": 0,
        "norm_init": "standard",
        "zero_last_scale": False,
        "norm_dense": False,
        "batch_order": "shuffled",
        "train_eval": "fixed",
    }

    dataset: str
    train_size: int
    standardize: str
    augment: str
    model: str
    width: float
    init: str
    norm: str
    groups: int | None
    regroup_at: int
    regroup_every: int
    epsilon: float
    norm_momentum: float
    norm_scale: bool
    norm_bias: bool
    norm_init: str
    zero_last_scale: bool
    norm_dense: bool
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
        later = self.LATER.items()
        values = {k: v for k, v in asdict(self).items() if (k, v) not in later}
        text = json.dumps(values, indent=2)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
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

    LATER: ClassVar[dict[str, Any]] = {"grouping": "sequential"}

    seed: int
    lr: float
    momentum: float
    weight_decay: float
    grouping: str = "sequential"


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
