"""How lopsided a histogram is."""

import numpy as np
import pandas as pd

_KEYS = ["member", "step", "norm_layer", "side", "channel"]


def skewness(bins: pd.DataFrame) -> pd.DataFrame:
    """The skewness of every histogram of `normlab.quantities.activation_histogram`.

    The third standardised moment, every value being taken at the middle of its bin. NaN
    where all values are one.

    Args:
      bins: a row a bin: ``member``, ``step``, ``norm_layer``, ``side``, ``channel``,
        ``count``, ``left``, ``right``.

    Returns:
      A row a histogram, with ``skewness``.
    """
    middle = (bins["left"] + bins["right"]).astype(float) / 2
    count = bins["count"].astype(float)
    keys = [bins[name] for name in _KEYS]

    def mean(values: pd.Series) -> pd.Series:
        total = (values * count).groupby(keys).transform("sum")
        return total / count.groupby(keys).transform("sum")

    away = middle - mean(middle)
    variance, third = mean(away**2), mean(away**3)
    value = third / np.power(variance.where(variance > 0), 1.5)
    return bins[_KEYS].assign(skewness=value).drop_duplicates(_KEYS)
