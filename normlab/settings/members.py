"""The settings in which the members of a cell differ: data to one compiled program."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.settings.declare import flag


@dataclass(frozen=True)
class MemberSettings:
    """The seed of a member, and the axes of a cell's members."""

    GROUP: ClassVar[str] = "training"

    seed: int = flag(0, "The first seed.", low=0)
    lr: float = flag(
        1e-3,
        "Learning rates.",
        axis="member",
        low=0,
        float32=True,
        phrase="at a learning rate of {}",
    )
    momentum: float = flag(
        0.9,
        "Momentum (only --optimizer=momentum).",
        axis="member",
        low=0,
        below=1,
        read_by={"optimizer": 0.0},
        float32=True,
    )
    weight_decay: float = flag(
        0.0,
        "Weight decay: added to the gradient (L2), or decoupled for "
        "--optimizer=adamw, lion and muon. See --decay_mask.",
        axis="member",
        low=0,
        float32=True,
        said={"0": "without weight decay"},
    )
    grouping: str = flag(
        "sequential",
        "Which channels share a group (only --norm=group_correlated).",
        axis="member",
        choices="grouping",
        read_by={"norm": "sequential"},
        before="sequential",
        phrase="with {} groups",
    )
    warmup: int = flag(
        0,
        "Steps of warm-up: the learning rate rises from 0 in a straight line, and "
        "reaches --lr at this step.",
        axis="member",
        low=0,
        before=0,
        recipe=True,
        phrase="with {} steps of warm-up",
        said={"0": "without warm-up", "1": "with 1 step of warm-up"},
    )
    decay_to: float = flag(
        0.0,
        "Where --schedule ends, as a share of --lr (only cosine and linear).",
        axis="member",
        low=0,
        high=1,
        read_by={"schedule": 0.0},
        float32=True,
        before=0.0,
        recipe=True,
        phrase="with a last learning rate of {} times the first",
        said={"0": "with a last learning rate of zero"},
    )
    clip_norm: float = flag(
        0.0,
        "Clip the gradient to this norm, over all parameters (0: do not clip).",
        axis="member",
        low=0,
        float32=True,
        before=0.0,
        recipe=True,
        phrase="with gradients clipped to a norm of {}",
        said={"0": "without clipping of gradients to a norm"},
    )
    clip_adaptive: float = flag(
        0.0,
        "Clip the gradient of each unit to this share of the norm of its parameters "
        "(0: do not clip).",
        axis="member",
        low=0,
        float32=True,
        before=0.0,
        recipe=True,
        phrase="with gradients clipped to {} of the parameters' norm",
        said={"0": "without adaptive clipping of gradients"},
    )
