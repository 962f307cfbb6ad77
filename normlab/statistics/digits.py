"""Numbers with as many digits as their interval supports."""

import math
from collections.abc import Sequence

_DIGITS = 2  # significant ones, of the width of the interval
_MOST_DECIMALS = 12
_LARGE = 1e5  # from here on, powers of ten


def decimals(low: float, high: float) -> int:
    """The number of decimals that leaves two significant digits of an interval."""
    width = high - low
    if not math.isfinite(width) or width <= 0:
        return 3
    # Rounding can carry: 0.0996 has its first digit where 0.1 has.
    first = math.floor(math.log10(float(f"{width:.{_DIGITS - 1}e}")))
    return min(max(0, _DIGITS - 1 - first), _MOST_DECIMALS)


def interval_text(
    middle: float,
    low: float,
    high: float,
    bounds: Sequence[float] = (),
    most: int | None = None,
) -> str:
    """``-4.5 [-5.7, -3.4]``: a value with two significant digits of its interval.

    Args:
      bounds: numbers with which the ends are compared. Digits are added until an end
        is on the same side of them as it is written.
      most: at most so many decimals, if that leaves something of the number: small ones
        are written as powers of ten instead. By default as many as the digits need.
    """
    most = _MOST_DECIMALS if most is None else most
    if math.isnan(low) or math.isnan(high):
        return plain(middle)
    sizes = [abs(x) for x in (middle, low, high) if math.isfinite(x)]
    if max(sizes, default=0.0) >= _LARGE:
        return f"{middle:.2e} [{low:.2e}, {high:.2e}]"
    count = decimals(low, high)
    if count > most and max(sizes, default=0.0) < 10.0 ** (1 - most):
        return f"{middle:.1e} [{low:.1e}, {high:.1e}]"
    count = min(count, most)
    while count < most and not all(
        _same_side(end, bound, count) for end in (low, high) for bound in bounds
    ):
        count += 1
    texts = [_text(x, count) for x in (middle, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def plain(value: float) -> str:
    """A value without an interval, with three significant digits."""
    if not math.isfinite(value):
        return "diverged" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    size = abs(value)
    return f"{value:.3g}" if size < 1000 or size >= _LARGE else f"{value:,.0f}"


def _same_side(end: float, bound: float, count: int) -> bool:
    if not math.isfinite(end):
        return True
    shown = round(end, count)
    return (shown > bound) == (end > bound) and (shown < bound) == (end < bound)


def _text(value: float, count: int) -> str:
    if not math.isfinite(value):
        return plain(value)
    if count >= 5 and abs(value) < 10.0 ** -(count - 3):
        return f"{value:.1e}"
    text = f"{value:,.{count}f}"
    return text.lstrip("-") if not float(text.replace(",", "")) else text
