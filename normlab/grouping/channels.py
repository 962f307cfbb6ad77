"""What a grouping may know of a layer's channels."""

from typing import Any, NamedTuple


class Channels(NamedTuple):
    """Statistics of C channels over a batch and all positions: arrays of NumPy.

    Where they are measured, arrays of JAX.

    Attributes:
      mean, var: (C,); the variance is biased.
      correlation: (C, C), Pearson's; 0 beside a channel that is constant.
    """

    mean: Any
    var: Any
    correlation: Any
