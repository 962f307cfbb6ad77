"""Group normalization as a Linen module that stands in for flax.linen.GroupNorm."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn import initializers

from normlab.errors import UserError
from normlab.norms import functional
from normlab.norms.affine import affine, compute_input, output_dtype
from normlab.norms.entry import AFFINE, Entry
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_groups
from normlab.settings import NormSettings
from normlab.words import counted


class GroupNorm(nn.Module):
    """Normalizes groups of channels of each example (Wu & He 2018, equations 1 to 7).

    Takes the arguments of ``flax.linen.GroupNorm`` and keeps the same variables:
    ``scale`` and ``bias`` in ``params``, each (C,). One default differs: ``epsilon`` is
    1e-5, as for every norm here; Linen's GroupNorm has 1e-6. As in ``BatchNorm``,
    ``use_fast_variance`` and ``force_float32_reductions`` change nothing, and all
    unmasked elements have the same weight under ``axis_name``.
    """

    num_groups: int | None = 32
    group_size: int | None = None
    epsilon: float = 1e-5
    dtype: Any = None
    param_dtype: Any = jnp.float32
    use_bias: bool = True
    use_scale: bool = True
    bias_init: initializers.Initializer = initializers.zeros
    scale_init: initializers.Initializer = initializers.ones
    reduction_axes: functional.Axes | None = None
    axis_name: str | None = None
    axis_index_groups: Any = None
    use_fast_variance: bool = True
    force_float32_reductions: bool = True

    @nn.compact
    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Returns x (N, ..., C) normalized, of x's shape.

        ``mask``, broadcastable to x, is 0 for elements that do not count, whatever
        they contain. They affect no statistics and no gradients of others. The output
        of a masked element that is not finite is undefined.

        Raises ValueError unless exactly one of ``num_groups`` and ``group_size`` is
        given, if it does not divide C, or if ``reduction_axes`` leaves out the last
        axis.
        """
        wide = compute_input(x, self.dtype)
        scale, bias = affine(self, (x.shape[-1],))
        y, _, _ = functional.group_norm(
            wide,
            self._groups(x.shape[-1]),
            scale,
            bias,
            self.epsilon,
            reduction_axes=self.reduction_axes,
            mask=mask,
            # While initializing, axis_name is not yet bound.
            axis_name=None if self.is_initializing() else self.axis_name,
            axis_index_groups=self.axis_index_groups,
        )
        return y.astype(output_dtype(self.dtype, x, scale, bias))

    def _groups(self, channels: int) -> int:
        if (self.num_groups is None) == (self.group_size is None):
            raise ValueError(
                "give either num_groups or group_size, and None for the other; "
                f"got {self.num_groups} and {self.group_size}"
            )
        if self.num_groups is not None:
            return self.num_groups
        size = self.group_size or 0
        if size <= 0 or channels % size:
            raise UserError(
                f"groups of {size} do not divide {counted(channels, 'channel')}"
            )
        return channels // size


def group(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Group norm, the layer of a model called ``name``; takes no batch statistics."""
    assert options.groups is not None  # `make_norm` checks it
    layer = GroupNorm(name=name, num_groups=options.groups, **options.affine)
    refuse_single_groups(x, options.groups)
    return layer(x, mask=mask)


def blocks(settings: NormSettings, channels: int) -> int | None:
    """A block is one group of an example (`Entry.blocks`)."""
    return settings.groups


ENTRY = Entry(group, AFFINE | {"groups"}, blocks, by_example=True, place=2)
