"""A cell's norm and network, from its settings."""

from typing import Any

import flax.linen as nn

from normlab.cell import CellConfig
from normlab.models import make_model
from normlab.norms import NORM_INITS, Norm, make_norm
from normlab.train.precision import layer_dtype

_SAME = (
    "groups",
    "epsilon",
    "zero_last_scale",
    "norm_dense",
    "norm_p",
    "noise_mean",
    "noise_scale",
    "noise_mean_spread",
    "noise_scale_spread",
    "noise_spread",
    "noise_place",
    "noise_eval",
)


def build_norm(cell: CellConfig, *, momentum: float | None = None) -> Norm:
    """The cell's norm.

    Args:
      momentum: the decay of running averages; by default the cell's own.

    Raises:
      UserError: an unknown norm.
    """
    options: dict[str, Any] = {name: getattr(cell, name) for name in _SAME}
    return make_norm(
        cell.norm,
        momentum=cell.norm_momentum if momentum is None else momentum,
        use_scale=cell.norm_scale,
        use_bias=cell.norm_bias,
        **NORM_INITS[cell.norm_init]._asdict(),
        **options,
    )


def build_model(
    cell: CellConfig,
    classes: int,
    *,
    momentum: float | None = None,
    conv: str = "patches",
) -> nn.Module:
    """The cell's network.

    Args:
      classes: how many outputs.
      momentum: as for `build_norm`.
      conv: the form of its convolutions, a name in `normlab.models.CONVS`.

    Raises:
      UserError: an unknown model, norm or initialiser.
    """
    return make_model(
        cell.model,
        norm=build_norm(cell, momentum=momentum),
        width=cell.width,
        init=cell.init,
        classes=classes,
        conv=conv,
        dtype=layer_dtype(cell.precision),
    )
