"""What a norm is built from."""

from dataclasses import dataclass
from typing import Any, Literal

from jax.nn.initializers import Initializer

from normlab.norms.inits import NORM_INITS
from normlab.settings import NormSettings

# Which statistics batch norm normalizes by: those of the batch at hand, or the running
# averages. The other norms have the first only, per example.
Statistics = Literal["batch", "running"]


@dataclass(frozen=True, kw_only=True)
class NormOptions(NormSettings):
    """Options of every norm; a norm reads those that its entry in `NORMS` names.

    They are the settings of a cell, and initialisers that take the place of
    ``norm_init``'s where they are given.
    """

    scale_init: Initializer | None = None
    bias_init: Initializer | None = None

    @property
    def affine(self) -> dict[str, Any]:
        """What BatchNorm and GroupNorm share, as keyword arguments."""
        init = NORM_INITS.find(self.norm_init)
        return {
            "epsilon": self.epsilon,
            "use_scale": self.norm_scale,
            "use_bias": self.norm_bias,
            "scale_init": self.scale_init or init.scale_init,
            "bias_init": self.bias_init or init.bias_init,
        }
