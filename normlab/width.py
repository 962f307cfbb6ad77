"""Channels of a layer under a width multiplier."""


def channels(base: int, width: float) -> int:
    """``base * width``, rounded, and at least 1."""
    return max(1, round(base * width))
