"""Instance norm: group norm with one channel a group."""

import dataclasses

from jax import Array

from normlab.errors import UserError
from normlab.norms.entry import AFFINE, Entry
from normlab.norms.group_norm import group
from normlab.norms.options import NormOptions, Statistics
from normlab.settings import NormSettings


def instance(
    options: NormOptions,
    name: str,
    x: Array,
    statistics: Statistics,
    mask: Array | None,
) -> Array:
    """Instance norm of x (N, ..., C): each channel of each example by itself.

    Raises UserError if x is (N, C): one value by itself is nothing but its own mean.
    """
    if x.ndim == 2:
        raise UserError(
            "--norm=instance: a dense layer has one value a channel, which leaves "
            "nothing to normalise; leave out --norm_dense"
        )
    channels = x.shape[-1]
    return group(
        dataclasses.replace(options, groups=channels), name, x, statistics, mask
    )


def every_channel(settings: NormSettings, channels: int) -> int:
    """A block is one channel of an example (`Entry.blocks`)."""
    return channels


ENTRY = Entry(instance, AFFINE, every_channel)
