"""Marks for single values of a parametrized test."""

from typing import Any

import pytest


def slow(*values: Any) -> Any:
    """Values that only ``-m slow`` tries; the fast tests keep one case of each law."""
    return pytest.param(*values, marks=pytest.mark.slow)
