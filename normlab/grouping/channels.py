"""What a grouping can know about a layer's channels."""

from typing import Any, NamedTuple


class Channels(NamedTuple):
    """Statistics of C channels over a batch and all positions, as NumPy arrays.

    The program that measures them returns JAX arrays.

    Attributes:
      mean, var: (C,); the variance is biased.
      correlation: (C, C), Pearson's; 0 for a constant channel and any other.
    """

    mean: Any
    var: Any
    correlation: Any
