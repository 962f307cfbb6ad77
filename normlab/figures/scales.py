"""Axes of accuracies, and logarithmic axes with ticks that do not overlap."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from normlab.figures.fitting import panel_size, text_scale

# A logarithmic axis ends at most by this factor beyond this quantile of the values.
_RARE, _FAR = 0.002, 10.0
_MARGIN = 1.3
# Axes that span less than this have several ticks per decade.
_NARROW = 8.0
# Their ticks in a decade, from many to few, and the inches that a number takes along a
# horizontal and a vertical axis.
_SUBS = ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
_TICK, _MOST_DECADES = (0.42, 0.15), 10
# An axis of accuracies ends by this share of its length above 1, which is room for a
# marker, and spans at least this much.
_ABOVE, _LEAST = 0.03, 0.02


def accuracy_axis(ax: Axes) -> None:
    """Ends a vertical axis of accuracies at 0 and 1, between which they are."""
    low, high = ax.get_ylim()
    if high >= 1:
        low = min(low, 1 - _LEAST)
        high = 1 + _ABOVE * (1 - max(0.0, low))
    ax.set_ylim(max(0.0, low), high)


def whole_steps(ax: Axes) -> None:
    """Keeps half steps off the horizontal axis of a short training."""
    usual_steps = [1, 2, 2.5, 5, 10]  # those of matplotlib
    locator = MaxNLocator("auto", steps=usual_steps, integer=True)
    ax.xaxis.set_major_locator(locator)


def usual(values: Any, share: float = 0.95) -> np.ndarray:
    """The finite positive values without the rarest at both ends.

    Args:
      values: numbers, of any shape.
      share: how many of them are kept.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return values
    ends = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return values[(values >= ends[0]) & (values <= ends[1])]


def log_axis(axes: Sequence[Axes], values: Any) -> None:
    """Makes vertical axes logarithmic over ``values``, without rare extreme values.

    If no value is above 0, the axis stays linear.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return
    low = np.quantile(values, _RARE, method="lower")
    high = np.quantile(values, 1 - _RARE, method="higher")
    low = max(low / _FAR, values.min()) / _MARGIN
    high = min(high * _FAR, values.max()) * _MARGIN
    for ax in axes:
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        log_ticks(ax.yaxis, low, high)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Sets ticks at whole decades, or at plain numbers if there are fewer than three.

    There are no minor ticks. Small panels have no space for them, and drawing them took
    half of the time for a page.
    """
    axis.set_minor_locator(NullLocator())
    decades = math.floor(math.log10(high)) - math.ceil(math.log10(low)) + 1
    if decades < 3:
        side = 0 if isinstance(axis, XAxis) else 1
        most = panel_size(axis.axes)[side] / (_TICK[side] * text_scale())
        wide = int(high / low >= _NARROW)
        choices = [subs for subs in _SUBS[wide:] if _ticks(subs, low, high) <= most]
        subs = choices[0] if choices else _SUBS[-1]
        # Without `numticks`, matplotlib draws no ticks at all on a short axis.
        axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_DECADES))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _ticks(subs: Sequence[int], low: float, high: float) -> int:
    """How many of the numbers ``subs`` times a power of ten an axis has."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return sum(low <= sub * 10.0**power <= high for sub in subs for power in powers)
