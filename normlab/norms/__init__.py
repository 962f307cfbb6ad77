"""Normalization layers, by name.

A model takes a norm as a field and never knows which norm it is. In a compact method:

    x = self.norm("norm1")(x, statistics=statistics, mask=mask)

and the norm's variables, if it has any, are at ``params["norm1"]["scale"]``,
``batch_stats["norm1"]["mean"]`` and so on. To add a norm, write one file in ``layers/``
with a function and an ``ENTRY`` like those in no_norm.py, and add one line to
``NORMS``. A norm in a package of one's own is named by a flag
(`normlab.norms.adopted`).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, get_args

from jax import Array
from jax.nn import initializers

from normlab.checks import check_settings
from normlab.errors import UserError
from normlab.norms.adopted import adopt
from normlab.norms.entry import Entry
from normlab.norms.inits import NORM_INITS
from normlab.norms.layers import (
    batch_lp,
    batch_noisy,
    batch_norm,
    group_correlated,
    group_norm,
    instance_norm,
    layer_norm,
    no_norm,
)
from normlab.norms.layers.batch_lp import LpBatchNorm
from normlab.norms.layers.batch_noisy import NoisyBatchNorm
from normlab.norms.layers.batch_norm import BatchNorm
from normlab.norms.layers.group_correlated import AssignedGroupNorm
from normlab.norms.layers.group_norm import GroupNorm
from normlab.norms.options import NormOptions, Statistics
from normlab.norms.taps import tap
from normlab.registry import Registry

__all__ = [
    "NORMS",
    "NORM_INITS",
    "AssignedGroupNorm",
    "BatchNorm",
    "Entry",
    "GroupNorm",
    "LpBatchNorm",
    "NoisyBatchNorm",
    "Norm",
    "NormOptions",
    "Statistics",
    "make_norm",
    "no_layer",
]


NORMS = Registry(
    "norm",
    {
        "none": no_norm.ENTRY,
        "batch": batch_norm.ENTRY,
        "group": group_norm.ENTRY,
        "group_correlated": group_correlated.ENTRY,
        "layer": layer_norm.ENTRY,
        "instance": instance_norm.ENTRY,
        "batch_lp": batch_lp.ENTRY,
        "batch_noisy": batch_noisy.ENTRY,
    },
    adopt,
)


@dataclasses.dataclass(frozen=True)
class Norm:
    """A norm, ready to be a field of a Linen module: compared and hashed by value.

    ``norm(name)`` is the layer called ``name``, a function

        (x, *, statistics, mask=None) -> y of x's shape

    to be called in the model's compact method. ``statistics="batch"`` normalizes by the
    statistics of x. Elements where ``mask`` (broadcastable to x) is 0 do not count,
    whatever their values (`normlab.norms.functional`). The running averages are updated
    if and only if the caller makes ``batch_stats`` mutable, so evaluation with batch
    statistics is the same call without ``mutable``. ``statistics="running"`` normalizes
    by the running averages. Norms of single examples ignore ``statistics``.

    A layer raises UserError if the groups do not divide the channels, or if a block has
    a single value, which leaves nothing to normalise. One image is enough to initialize
    a model, even for a norm over the batch.

    ``norm(name, last_of_block=True)`` is the last norm of a residual block. Under
    ``zero_last_scale`` its scale starts at 0, so the block is the identity when
    training begins (Wu & He 2018, section 4.1, after Goyal et al. 2017). A norm without
    a scale does not change.

    ``norm(name, dense=True)`` is a layer after a hidden dense one. It does nothing
    unless ``norm_dense`` is set.

    A norm with noise (``batch_noisy``) adds noise if and only if the model is applied
    with an rng called ``noise``. Training passes one for each step; evaluation passes
    none unless ``noise_eval`` is set.
    """

    kind: str
    options: NormOptions

    def __call__(
        self, name: str, *, last_of_block: bool = False, dense: bool = False
    ) -> Callable[..., Array]:
        options = self.options
        if dense and not options.norm_dense:
            return no_layer
        if last_of_block and options.zero_last_scale:
            options = dataclasses.replace(options, scale_init=initializers.zeros)
        return functools.partial(_apply, Norm(self.kind, options), name)


def make_norm(kind: str, **options: Any) -> Norm:
    """The norm called ``kind``, with the fields of ``NormOptions`` as options.

    Raises UserError for an unknown norm, for an option out of its range, and for a
    group norm without a number of groups. Whether the groups divide the channels is
    checked when x is known.
    """
    entry = NORMS.find(kind)
    norm = Norm(kind, NormOptions(**options))
    check_settings(norm.options)
    if "groups" in entry.reads and norm.options.groups is None:
        raise UserError(f"norm {kind!r} needs a number of groups, not None")
    return norm


def no_layer(x: Array, *, statistics: Statistics, mask: Array | None = None) -> Array:
    """Returns x: the layer of a `Norm` that has no layer at this place."""
    return x


def _apply(
    norm: Norm,
    name: str,
    x: Array,
    *,
    statistics: Statistics,
    mask: Array | None = None,
) -> Array:
    if statistics not in get_args(Statistics):
        known = " or ".join(map(repr, get_args(Statistics)))
        raise ValueError(f"statistics must be {known}, not {statistics!r}")
    entry, options = NORMS[norm.kind], norm.options
    try:
        y = tap(
            name,
            lambda x: entry.apply(options, name, x, statistics, mask),
            x,
            groups=entry.blocks(options, x.shape[-1]) if entry.blocks else None,
            epsilon=options.epsilon,
            standardizes=entry.blocks is not None and statistics == "batch",
        )
        if y.shape != x.shape:
            raise UserError(f"its input has shape {x.shape}, its output {y.shape}")
    except UserError as error:
        raise UserError(f"layer {name} ({norm.kind}): {error}") from error
    return y
