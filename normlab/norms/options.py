"""The options of a norm."""

from dataclasses import dataclass
from typing import Any, Literal

from jax.nn.initializers import Initializer

from normlab.norms.inits import NORM_INITS
from normlab.settings import NormSettings

# The statistics by which batch norm normalizes: those of the present batch, or running
# averages. The other norms only have the first kind, for each example.
Statistics = Literal["batch", "running"]


@dataclass(frozen=True, kw_only=True)
class NormOptions(NormSettings):
    """Options of every norm. A norm reads those that its entry in `NORMS` names.

    They are the settings of a cell, and initialisers that replace those of
    ``norm_init`` if they are given.
    """

    scale_init: Initializer | None = None
    bias_init: Initializer | None = None

    @property
    def affine(self) -> dict[str, Any]:
        """The keyword arguments that BatchNorm and GroupNorm share."""
        init = NORM_INITS.find(self.norm_init)
        return {
            "epsilon": self.epsilon,
            "use_scale": self.norm_scale,
            "use_bias": self.norm_bias,
            "scale_init": self.scale_init or init.scale_init,
            "bias_init": self.bias_init or init.bias_init,
        }
