"""A cell's norm and network, from its settings."""

import flax.linen as nn

from normlab.cell import CellConfig
from normlab.models import make_model
from normlab.norms import Norm, make_norm
from normlab.settings import NormSettings, named
from normlab.train.precision import layer_dtype


def build_norm(cell: CellConfig, *, momentum: float | None = None) -> Norm:
    """The cell's norm.

    Args:
      momentum: the decay of running averages; by default the cell's own.

    Raises:
      UserError: an unknown norm.
    """
    options = {name: getattr(cell, name) for name in named(NormSettings)}
    if momentum is not None:
        options["norm_momentum"] = momentum
    return make_norm(cell.norm, **options)


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
