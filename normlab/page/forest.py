"""The standing of the claims: distances from their bounds on one axis.

The axis is linear within one margin and logarithmic beyond it, because distances range
from a fraction of a margin to thousands.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from normlab.claims.bounds import Distance
from normlab.page.judged import Judged

# Margins at the edge of the axis. What lies beyond is drawn at the edge.
EDGE = 1000.0
WIDTH = 200  # of the drawing, in its own units; it is stretched to its cell


class Bar(NamedTuple):
    """An interval as it is drawn, in units of `WIDTH`."""

    low: float
    middle: float
    high: float


class Tick(NamedTuple):
    """A mark on the axis: its place in percent of the axis, and its text."""

    place: float
    text: str


def at(value: float) -> float:
    """The place of a distance on the axis, from 0 to `WIDTH`."""
    inner = min(abs(value), 1.0) + math.log10(max(min(abs(value), EDGE), 1.0))
    return round(
        WIDTH / 2 * (1 + math.copysign(inner / (1 + math.log10(EDGE)), value)), 1
    )


def bar(distance: Distance) -> Bar:
    """The drawing of a distance."""
    return Bar(at(distance.low), at(distance.middle), at(distance.high))


def near(distance: Distance) -> Bar:
    """The drawing of a distance on an axis of its own, with the bound in the middle."""
    ends = (distance.low, distance.middle, distance.high)
    finite = [abs(x) for x in ends if math.isfinite(x)]
    most = 1.1 * max(finite, default=1.0) or 1.0
    places = (WIDTH / 2 * (1 + min(max(x / most, -1.0), 1.0)) for x in ends)
    return Bar(*(round(place, 1) for place in places))


TICKS = tuple(
    Tick(100 * at(value) / WIDTH, text)
    for value, text in ((-30, "← opposite"), (30, "as claimed →"))
)


def families(rows: Sequence[Judged]) -> dict[str, list[Judged]]:
    """Family -> its claims that have a distance, in order."""
    found: dict[str, list[Judged]] = {}
    for row in rows:
        if row.distance is not None:
            found.setdefault(row.verdict.family, []).append(row)
    return found
