"""Normalization layers, by name.

A model takes a norm as a field and never knows its name. In a compact method it writes

    x = self.norm("norm1")(x, statistics=statistics, mask=mask)

and finds the variables, where the norm has any, at ``params["norm1"]["scale"]``,
``batch_stats["norm1"]["mean"]`` and so on. To add a norm: one file with a function like
``none`` in no_norm.py, and one line in ``NORMS``.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from jax import Array
from jax.nn import initializers

from normlab.errors import UserError
from normlab.norms.batch_lp import LpBatchNorm, batch_lp
from normlab.norms.batch_noisy import NoisyBatchNorm, batch_noisy
from normlab.norms.batch_norm import BatchNorm, batch
from normlab.norms.group_correlated import AssignedGroupNorm, group_correlated
from normlab.norms.group_norm import GroupNorm, group
from normlab.norms.inits import NORM_INITS
from normlab.norms.instance_norm import instance
from normlab.norms.layer_norm import layer
from normlab.norms.no_norm import none
from normlab.norms.options import CHOICES, NormOptions, Statistics

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


class Entry(NamedTuple):
    """A norm in `NORMS`.

    Attributes:
      apply: its layer.
      reads: the fields of `NormOptions` that it reads.
      assigned: whether its groups are data, an array ``assignment`` in ``batch_stats``,
        so that the members of a sweep may differ in them.
    """

    apply: Callable[..., Array]
    reads: frozenset[str]
    assigned: bool = False

    @property
    def running(self) -> bool:
        """Whether it has running averages, and so more than one kind of statistics."""
        return "momentum" in self.reads


_AFFINE = frozenset(
    {
        "epsilon",
        "use_scale",
        "use_bias",
        "scale_init",
        "bias_init",
        "zero_last_scale",
        "norm_dense",
    }
)
# noise_eval is read by those who hand out the key of the noise.
_NOISE = frozenset(
    field.name
    for field in dataclasses.fields(NormOptions)
    if field.name.startswith("noise_")
)

NORMS: dict[str, Entry] = {
    "none": Entry(none, frozenset()),
    "batch": Entry(batch, _AFFINE | {"momentum"}),
    "group": Entry(group, _AFFINE | {"groups"}),
    "group_correlated": Entry(group_correlated, _AFFINE | {"groups"}, assigned=True),
    "layer": Entry(layer, _AFFINE),
    "instance": Entry(instance, _AFFINE),
    "batch_lp": Entry(batch_lp, _AFFINE | {"momentum", "norm_p"}),
    "batch_noisy": Entry(batch_noisy, _AFFINE | {"momentum"} | _NOISE),
}


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

    Raises UserError for an unknown norm or an unknown choice of an option (`CHOICES`),
    and for a group norm without a positive number of groups. That the groups divide the
    channels is checked where x is known.
    """
    if kind not in NORMS:
        raise UserError(f"unknown norm {kind!r}; known norms: {', '.join(NORMS)}")
    norm = Norm(kind, NormOptions(**options))
    groups = norm.options.groups
    if "groups" in NORMS[kind].reads and (groups is None or groups <= 0):
        raise UserError(
            f"norm {kind!r} needs a positive number of groups, not {groups}"
        )
    for name, known in CHOICES.items():
        value = getattr(norm.options, name)
        if value not in known:
            raise UserError(f"unknown {name} {value!r}; known: {', '.join(known)}")
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
