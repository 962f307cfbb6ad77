"""The settings of a cell's norm."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.settings.declare import FIRST, flag

LP = ("1", "2", "inf")
_BY_NORM = {"norm": FIRST}
# For a setting of a layer that the model must have as well.
_BY_BOTH = {"norm": FIRST, "model": False}


@dataclass(frozen=True, kw_only=True)
class NormSettings:
    """Settings of norms. Each norm reads those that its entry in `NORMS` names."""

    GROUP: ClassVar[str] = "norms"

    groups: int | None = flag(
        4,
        "Numbers of groups (only --norm=group and --norm=group_correlated).",
        axis="static",
        low=1,
        read_by={"norm": None},
        in_label=True,
    )
    regroup_at: int = flag(
        0,
        "--norm=group_correlated: the step at which --grouping first groups channels, "
        "using the batch of that step. Until then groups are sequential.",
        axis="static",
        low=0,
        read_by={"norm": 0},
        before=0,
        phrase="with groups chosen at step {}",
    )
    regroup_every: int = flag(
        0,
        "--norm=group_correlated: regroup channels every this many steps (0: never).",
        axis="static",
        low=0,
        read_by={"norm": 0},
        before=0,
        phrase="with new groups every {} steps",
        said={"0": "without regrouping", "1": "with new groups at every step"},
    )
    epsilon: float = flag(
        1e-5,
        "Added to the variance, the same for every norm.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    norm_momentum: float = flag(
        0.99,
        "Decay of batch norm's running averages.",
        axis="static",
        low=0,
        below=1,
        read_by=_BY_NORM,
        float32=True,
    )
    norm_scale: bool = flag(
        True,
        "Whether norms learn a scale.",
        axis="static",
        read_by=_BY_NORM,
        phrase=("with a learned scale", "without a learned scale"),
    )
    norm_bias: bool = flag(
        True,
        "Whether norms learn a bias.",
        axis="static",
        read_by=_BY_NORM,
        phrase=("with a learned bias", "without a learned bias"),
    )
    norm_init: str = flag(
        "standard",
        "Initial scale and bias of norms: standard (1 and 0), or report (both equal to "
        "one draw from a truncated normal).",
        axis="static",
        choices="norm_init",
        read_by=_BY_NORM,
        before="standard",
        phrase="with {} initialization of norms",
    )
    zero_last_scale: bool = flag(
        False,
        "Whether the scale of a residual block's last norm starts at 0 (only resnet20 "
        "and resnet56).",
        axis="static",
        read_by=_BY_BOTH,
        before=False,
        phrase=("with blocks that start at zero", "with blocks that start as usual"),
    )
    norm_dense: bool = flag(
        False,
        "Whether a norm also follows the hidden dense layer (only small_cnn).",
        axis="static",
        read_by=_BY_BOTH,
        before=False,
        phrase=(
            "with norms also after the dense layer",
            "with norms only after convolutions",
        ),
    )
    norm_p: str = flag(
        "2",
        "p of the lp norm that --norm=batch_lp divides by.",
        axis="static",
        choices=LP,
        read_by=_BY_NORM,
        in_label=True,
    )
    noise_mean: float = flag(
        0.5,
        "--norm=batch_noisy: in each step a channel's shift is uniform within +- this.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_scale: float = flag(
        1.25,
        "--norm=batch_noisy: in each step a channel's factor is uniform in 1 to this.",
        axis="static",
        low=1,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_mean_spread: float = flag(
        0.1,
        "--norm=batch_noisy: an element's shift is uniform within +- this around its "
        "channel's shift.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_scale_spread: float = flag(
        0.1,
        "--norm=batch_noisy: spread of an element's normal factor around its "
        "channel's factor.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_spread: str = flag(
        "std",
        "--norm=batch_noisy: which measure of spread --noise_scale_spread is.",
        axis="static",
        choices=("std", "variance"),
        read_by=_BY_NORM,
    )
    noise_place: str = flag(
        "after",
        "--norm=batch_noisy: add the noise before or after the norm's scale and bias.",
        axis="static",
        choices=("before", "after"),
        read_by=_BY_NORM,
    )
    noise_eval: bool = flag(
        False,
        "--norm=batch_noisy: add the noise in evaluation, too.",
        axis="static",
        read_by=_BY_NORM,
        phrase=("with noise in evaluation", "without noise in evaluation"),
    )
