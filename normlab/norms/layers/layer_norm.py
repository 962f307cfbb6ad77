"""Layer norm over positions and channels: group norm with one group."""

import dataclasses

from jax import Array

from normlab.norms.entry import AFFINE, Entry
from normlab.norms.layers.group_norm import group
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_groups
from normlab.settings import NormSettings


def layer(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Layer norm of x (N, ..., C) over all axes but N, with scale and bias (C,)."""
    refuse_single_groups(x, 1, fewer=False)
    return group(dataclasses.replace(options, groups=1), name, x, statistics, mask)


def one_group(settings: NormSettings, channels: int) -> int:
    """A block is an example (`Entry.blocks`)."""
    return 1


ENTRY = Entry(layer, AFFINE, one_group, by_example=True, place=8)
