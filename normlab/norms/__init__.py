"""Normalization layers, by name.

A model takes a norm as a field and never knows its name. In a compact method it writes

    x = self.norm("norm1")(x, statistics=statistics, mask=mask)

and finds the variables, where the norm has any, at ``params["norm1"]["scale"]``,
``batch_stats["norm1"]["mean"]`` and so on. To add a norm: one file in
``layers/`` with a function and an ``ENTRY`` like those in no_norm.py, and one line in
``NORMS``.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, get_args

from jax import Array
from jax.nn import initializers

from normlab.checks import check_settings
from normlab.errors import UserError
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
)


@dataclasses.dataclass(frozen=True)
class Norm:
    """A norm, ready to be a field of a Linen module: compared and hashed by value.

    ``norm(name)`` is the layer called ``name``, a function

        (x, *, statistics, mask=None) -> y of x's shape

    to be called in the model's compact method. ``statistics="batch"`` normalizes by the
    statistics of x, in which the elements where ``mask`` (broadcastable to x) is 0 do
    not count, whatever they hold (`normlab.norms.functional`). It updates the running
    averages exactly when the caller makes ``batch_stats`` mutable, so evaluation with
    batch statistics is the same call without ``mutable``. ``statistics="running"``
    normalizes by the running averages. Norms that look at one example at a time ignore
    ``statistics``.

    A layer raises UserError if the groups do not divide the channels, or if a block
    holds a single value, which leaves nothing to normalise. To initialize a model, one
    image is enough for a norm over the batch, too.

    ``norm(name, last_of_block=True)`` is the last layer of a residual block, whose
    scale starts at 0 under ``zero_last_scale``: the block is then the identity where
    training begins (Wu & He 2018, section 4.1, after Goyal et al. 2017). A norm without
    a scale is as it was.

    ``norm(name, dense=True)`` is a layer behind a hidden dense one: there is none
    unless ``norm_dense`` says so.

    A norm with noise (``batch_noisy``) adds it exactly where the model is applied with
    an rng called ``noise``: no rng, no noise. Training gives one of the step,
    evaluation none unless ``noise_eval`` says so.
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
    group norm without a number of groups. That the groups divide the channels is
    checked where x is known.
    """
    entry = NORMS.find(kind)
    norm = Norm(kind, NormOptions(**options))
    check_settings(norm.options)
    if "groups" in entry.reads and norm.options.groups is None:
        raise UserError(f"norm {kind!r} needs a number of groups, not None")
    return norm


def no_layer(x: Array, *, statistics: Statistics, mask: Array | None = None) -> Array:
    """What stands where `Norm` was asked for a layer that it does not have."""
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
    try:
        return NORMS[norm.kind].apply(norm.options, name, x, statistics, mask)
    except UserError as error:
        raise UserError(f"layer {name} ({norm.kind}): {error}") from error
