"""What `NORMS` holds of a norm: all that others need to know of it."""

from collections.abc import Callable
from typing import NamedTuple

from jax import Array

from normlab.settings import NormSettings, named

# The settings of a learned scale and bias, and of where norms stand.
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
# Those of running averages.
RUNNING = frozenset({"norm_momentum"})
# What changes nothing behind a norm that centres and divides by a deviation.
STANDARDIZING = frozenset({"scale", "shift"})


class Entry(NamedTuple):
    """A norm in `NORMS`.

    Attributes:
      apply: its layer, ``(options, name, x, statistics, mask) -> y``.
      reads: the settings that it reads, among them each of `NormSettings` that it has.
      blocks: ``(settings, channels) -> groups``, for a norm that standardizes blocks of
        its input and does nothing else but scale and shift: how many groups the
        channels of an example are cut into, or None where a block is one channel of the
        whole batch. The identities of docs/theory.md hold for it. None for a norm that
        does something else.
      invariant: what its output does not notice at epsilon 0: a positive ``scale`` of
        all of its input, a ``shift`` of it; empty for no norm at all.
      place: its place on the palette of figures, the same in every one; None takes one
        that is free.
    """

    apply: Callable[..., Array]
    reads: frozenset[str] = frozenset()
    blocks: Callable[[NormSettings, int], int | None] | None = None
    invariant: frozenset[str] = STANDARDIZING
    place: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has running averages, so that several statistics evaluate it."""
        return self.reads >= RUNNING

    @property
    def by_channel(self) -> bool:
        """Whether a block is one channel of an example, however many there are."""
        channels = 64
        return bool(self.blocks) and self.blocks(NormSettings(), channels) == channels

    @property
    def assigned(self) -> bool:
        """Whether its groups are data, an array ``assignment`` in ``batch_stats``.

        The members of a sweep may then differ in them.
        """
        return "grouping" in self.reads


def settings_named(prefix: str) -> frozenset[str]:
    """The settings of norms whose names begin so: ``noise_``."""
    return frozenset(n for n in named(NormSettings) if n.startswith(prefix))
