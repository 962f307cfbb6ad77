"""Instance norm: group norm with one channel a group."""

import dataclasses

from jax import Array

from normlab.norms.entry import AFFINE, Entry
from normlab.norms.layers.group_norm import group
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.single import refuse_single_groups
from normlab.settings import NormSettings


def instance(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Instance norm of x (N, ..., C): each channel of each example by itself."""
    channels = x.shape[-1]
    refuse_single_groups(x, channels, fewer=False)
    return group(
        dataclasses.replace(options, groups=channels), name, x, statistics, mask
    )


def every_channel(settings: NormSettings, channels: int) -> int:
    """A block is one channel of an example (`Entry.blocks`)."""
    return channels


ENTRY = Entry(instance, AFFINE, every_channel, by_example=True, place=9)
