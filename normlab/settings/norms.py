"""The norm of a cell, and what norms are told."""

from dataclasses import dataclass

from normlab.settings.declare import FIRST, flag

LP = ("1", "2", "inf")
_BY_NORM = {"norm": FIRST}
# Of a layer that the model must have, too.
_BY_BOTH = {"norm": FIRST, "model": False}


@dataclass(frozen=True, kw_only=True)
class NormSettings:
    """What norms are told; each reads those that its entry in `NORMS` names."""

    groups: int | None = flag(
        4,
        "Group counts, of --norm=group and --norm=group_correlated.",
        axis="static",
        low=1,
        read_by={"norm": None},
        in_label=True,
    )
    regroup_at: int = flag(
        0,
        "--norm=group_correlated: the step at which --grouping first groups channels, "
        "by the batch of that step; before it groups are sequential.",
        axis="static",
        low=0,
        read_by={"norm": 0},
        before=0,
    )
    regroup_every: int = flag(
        0,
        "--norm=group_correlated: group them again every this many steps; 0 is never.",
        axis="static",
        low=0,
        read_by={"norm": 0},
        before=0,
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
        True, "Whether norms learn a scale.", axis="static", read_by=_BY_NORM
    )
    norm_bias: bool = flag(
        True, "Whether norms learn a bias.", axis="static", read_by=_BY_NORM
    )
    norm_init: str = flag(
        "standard",
        "How scale and bias of norms start: standard, 1 and 0; or report, both at one "
        "draw from a truncated normal.",
        axis="static",
        choices="norm_init",
        read_by=_BY_NORM,
        before="standard",
    )
    zero_last_scale: bool = flag(
        False,
        "Whether the scale of a residual block's last norm starts at 0; it applies to "
        "resnet20 and resnet56 alone.",
        axis="static",
        read_by=_BY_BOTH,
        before=False,
    )
    norm_dense: bool = flag(
        False,
        "Whether a norm stands behind the hidden dense layer, too; it applies to "
        "small_cnn alone.",
        axis="static",
        read_by=_BY_BOTH,
        before=False,
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
        "--norm=batch_noisy: a channel's shift at a step is uniform within this of 0.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_scale: float = flag(
        1.25,
        "--norm=batch_noisy: a channel's factor at a step is uniform in 1 to this.",
        axis="static",
        low=1,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_mean_spread: float = flag(
        0.1,
        "--norm=batch_noisy: an element's shift is uniform within this of its "
        "channel's.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_scale_spread: float = flag(
        0.1,
        "--norm=batch_noisy: spread of an element's normal factor around its "
        "channel's.",
        axis="static",
        low=0,
        read_by=_BY_NORM,
        float32=True,
    )
    noise_spread: str = flag(
        "std",
        "--norm=batch_noisy: what --noise_scale_spread is.",
        axis="static",
        choices=("std", "variance"),
        read_by=_BY_NORM,
    )
    noise_place: str = flag(
        "after",
        "--norm=batch_noisy: the noise is before or after the norm's scale and bias.",
        axis="static",
        choices=("before", "after"),
        read_by=_BY_NORM,
    )
    noise_eval: bool = flag(
        False,
        "--norm=batch_noisy: noise in evaluation, too.",
        axis="static",
        read_by=_BY_NORM,
    )
