"""What a norm is built from."""

import dataclasses
from typing import Any, Literal

from jax.nn import initializers

# Which statistics batch norm normalizes by: those of the batch at hand, or the running
# averages. The other norms have the first kind only, per example.
Statistics = Literal["batch", "running"]

LP = ("1", "2", "inf")
# The options that are one of several names.
CHOICES = {
    "norm_p": LP,
    "noise_spread": ("std", "variance"),
    "noise_place": ("before", "after"),
}


@dataclasses.dataclass(frozen=True)
class NormOptions:
    """Options of every norm; a norm reads those that it has.

    ``groups`` is the number of groups of group norms, ``momentum`` the decay of running
    averages. ``epsilon`` is the same for every norm, lest a comparison of norms compare
    epsilons. ``zero_last_scale`` starts the scale at 0 in layers that a model calls the
    last of a residual block, ``norm_dense`` puts a norm behind those that it calls
    dense (`normlab.norms.Norm`). ``norm_p`` is of `batch_lp`, ``noise_*`` of
    `batch_noisy`; `normlab.config.SweepConfig` says what each is.
    """

    groups: int | None = None
    epsilon: float = 1e-5
    momentum: float = 0.99
    use_scale: bool = True
    use_bias: bool = True
    zero_last_scale: bool = False
    norm_dense: bool = False
    scale_init: initializers.Initializer = initializers.ones
    bias_init: initializers.Initializer = initializers.zeros
    norm_p: str = "2"
    noise_mean: float = 0.5
    noise_scale: float = 1.25
    noise_mean_spread: float = 0.1
    noise_scale_spread: float = 0.1
    noise_spread: str = "std"
    noise_place: str = "after"
    noise_eval: bool = False

    @property
    def affine(self) -> dict[str, Any]:
        """The options that BatchNorm and GroupNorm share, as keyword arguments."""
        names = ("epsilon", "use_scale", "use_bias", "scale_init", "bias_init")
        return {name: getattr(self, name) for name in names}
