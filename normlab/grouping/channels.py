"""What a grouping may know of a layer's channels."""

from typing import NamedTuple

import numpy as np


class Channels(NamedTuple):
    """Statistics of C channels over a batch and all positions.

    Attributes:
      mean, var: (C,); the variance is biased.
      correlation: (C, C), Pearson's; 0 beside a channel that is constant.
    """

    mean: np.ndarray
    var: np.ndarray
    correlation: np.ndarray
