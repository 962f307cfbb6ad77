"""The entry of a norm in `NORMS`: everything that other code needs to know about it."""

from collections.abc import Callable
from typing import NamedTuple

from jax import Array

from normlab.settings import NormSettings, named

# The settings of a learned scale and bias, and of the places of norms.
AFFINE = frozenset(
    {
        "epsilon",
        "norm_scale",
        "norm_bias",
        "norm_init",
        "zero_last_scale",
        "norm_dense",
    }
)
# The settings of running averages.
RUNNING = frozenset({"norm_momentum"})
# Changes of the input that do not change the output of a standardizing norm.
STANDARDIZING = frozenset({"scale", "shift"})


class Entry(NamedTuple):
    """A norm in `NORMS`.

    Attributes:
      apply: its layer, ``(options, name, x, statistics, mask) -> y``.
      reads: all settings that it reads, including fields of `NormSettings`.
      blocks: ``(settings, channels) -> groups``, for a norm that standardizes blocks of
        its input and only scales and shifts the result. It gives the number of groups
        that an example's channels are cut into, or None if a block is one channel of
        the whole batch. The identities of docs/theory.md hold for such a norm. None for
        a norm that does something else.
      invariant: the changes of the input that do not change the output at epsilon 0: a
        positive ``scale`` of all of it, or a ``shift``. Empty for no norm.
      by_example: whether the output for an example depends on that example alone. A
        batch may then be computed in parts.
      place: its place in the palette, the same in every figure; None takes a free one.
    """

    apply: Callable[..., Array]
    reads: frozenset[str] = frozenset()
    blocks: Callable[[NormSettings, int], int | None] | None = None
    invariant: frozenset[str] = STANDARDIZING
    by_example: bool = False
    place: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has running averages, and so several statistics for evaluation."""
        return self.reads >= RUNNING

    @property
    def by_channel(self) -> bool:
        """Whether a block is one channel of an example, for any number of channels."""
        channels = 64
        return bool(self.blocks) and self.blocks(NormSettings(), channels) == channels

    @property
    def assigned(self) -> bool:
        """Whether its groups are data: an array ``assignment`` in ``batch_stats``.

        The members of a sweep may then have different groups.
        """
        return "grouping" in self.reads


def settings_named(prefix: str) -> frozenset[str]:
    """The settings of norms whose names begin with ``prefix``, such as ``noise_``."""
    return frozenset(n for n in named(NormSettings) if n.startswith(prefix))
