"""Group normalization whose groups are data, as a Linen module."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn import initializers

from normlab.norms import functional
from normlab.norms.affine import affine, output_dtype
from normlab.norms.blocks import consecutive
from normlab.norms.entry import AFFINE, Entry, settings_named
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_groups


class AssignedGroupNorm(nn.Module):
    """Group norm whose groups are given by an array among its variables.

    Variables, each (C,): ``scale`` and ``bias`` in ``params``; ``assignment``, int32,
    the group of each channel, in ``batch_stats``. That collection has everything that a
    network takes from its batches except through gradients; training state, checkpoints
    and the path contain it. The assignment starts with the consecutive channels of
    `GroupNorm`, and the layer never changes it. Code that regroups channels replaces it
    by another, in which each of 0 to G - 1 occurs equally often.
    """

    num_groups: int
    epsilon: float = 1e-5
    param_dtype: Any = jnp.float32
    use_bias: bool = True
    use_scale: bool = True
    bias_init: initializers.Initializer = initializers.zeros
    scale_init: initializers.Initializer = initializers.ones

    @nn.compact
    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Returns x (N, ..., C) normalized, of x's shape; ``mask`` as `GroupNorm`'s.

        Raises UserError (a ValueError) if ``num_groups`` does not divide C.
        """
        channels = x.shape[-1]
        functional.check_groups(self.num_groups, channels)
        assignment = self.variable(
            "batch_stats",
            "assignment",
            lambda: jnp.asarray(consecutive(channels, self.num_groups)),
        )
        scale, bias = affine(self, (channels,))
        y, _, _ = functional.group_norm(
            x,
            self.num_groups,
            scale,
            bias,
            self.epsilon,
            mask=mask,
            assignment=assignment.value,
        )
        return y.astype(output_dtype(None, x, scale, bias))


def group_correlated(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Group norm with assigned groups, the layer called ``name``."""
    assert options.groups is not None  # `make_norm` checks it
    layer = AssignedGroupNorm(name=name, num_groups=options.groups, **options.affine)
    refuse_single_groups(x, options.groups)
    return layer(x, mask=mask)


ENTRY = Entry(
    group_correlated,
    AFFINE | {"groups", "grouping"} | settings_named("regroup_"),
    by_example=True,
)
