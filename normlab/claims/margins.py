"""How large a difference has to be to matter, for each unit: set before the runs."""

import math

# For a ratio, a factor in either direction.
MARGINS: dict[str, float] = {
    "nats": 0.005,
    "points": 1.0,
    "ratio": 1.1,
    "cosine": 0.05,
    "decades": 0.04,  # a ratio of 1.1
}


def margin_of(unit: str) -> float | None:
    """The margin of a unit, a logarithm for a ratio; None if it has none."""
    margin = MARGINS.get(unit)
    return math.log(margin) if margin and unit == "ratio" else margin


def margin_words(unit: str) -> str:
    """The margin of a unit in words: ``0.005 nats``, ``10%``.

    Raises:
      KeyError: the unit has no margin.
    """
    if unit == "ratio":
        return f"{100 * (MARGINS[unit] - 1):.0f}%"
    return f"{MARGINS[unit]:g} {'point' if unit == 'points' else unit}"
