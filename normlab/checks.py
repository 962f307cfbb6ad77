"""Checks settings against their declarations. Errors name the flag."""

import math
from typing import Any

import numpy as np
from jax import Array

from normlab.errors import UserError
from normlab.registry import unknown
from normlab.settings import Setting, settings_of

# The largest float32. Networks and their training cannot use a larger number.
_LARGEST = 3.4e38
# The smallest positive float32 that does not count as 0: XLA flushes subnormal numbers.
_SMALLEST = float(np.finfo(np.float32).smallest_normal)
_MOST = {"devices": 1024, "member_chunk": 1_000_000}


def check_settings(settings: Any) -> None:
    """Checks every setting of a dataclass against its `normlab.settings.Setting`.

    Names from a registry are not checked here: its entries may not be imported yet.

    Raises:
      UserError: a list is empty or names a value twice, a number is out of its range,
        or a name is unknown.
    """
    for spec, setting in settings_of(settings):
        value = getattr(settings, spec.name)
        values = value if isinstance(value, tuple) else (value,)
        if not values and spec.default:
            raise UserError(f"--{spec.name} needs at least one value")
        if any(isinstance(one, Array) for one in values):
            continue  # traced: an argument of a program, not a user's value
        check_distinct(spec.name, values)
        for one in values:
            _check_value(spec.name, one, setting)
        if setting.float32:
            _check_float32(spec.name, values, setting)


def check_distinct(name: str, values: tuple) -> None:
    """Raises UserError if a value occurs twice."""
    seen = set()
    for value in values:
        if value in seen:
            raise UserError(f"--{name} names {value} twice")
        seen.add(value)


def _check_value(name: str, value: Any, setting: Setting) -> None:
    if isinstance(value, str):
        known = setting.choices
        if known and isinstance(known, tuple) and value not in known:
            raise unknown(name, value, known)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(name, value, setting)


def _check_number(name: str, value: float, setting: Setting) -> None:
    says = f"--{name}={value}: "
    if isinstance(value, int) and value >= 2**31:
        raise UserError(f"{says}must be below 2**31")
    low, above = setting.low, setting.above
    if above is not None and not (math.isfinite(value) and value > above):
        raise UserError(f"{says}must be above {above:g}, and finite")
    if low is not None and not (math.isfinite(value) and value >= low):
        raise UserError(f"{says}must be {low:g} or more, and finite")
    if setting.below is not None and value >= setting.below:
        raise UserError(f"{says}must be below {setting.below:g}")
    if setting.high is not None and value > setting.high:
        raise UserError(f"{says}must be at most {setting.high:.12g}")
    at_most(name, value, _LARGEST)


def _check_float32(name: str, values: tuple[float, ...], setting: Setting) -> None:
    """Checks that the values differ in float32, which networks compute in.

    No value may be rounded to a bound: a learning rate of 0 means no training.
    """
    edges = (setting.low, setting.above, setting.below)
    seen: dict[float, float] = {}
    for value in values:
        computed = float(np.float32(value))
        computed = computed if abs(computed) >= _SMALLEST else 0.0
        if computed in edges and computed != value:
            raise UserError(f"--{name}={value}: it is {computed:g} in float32")
        if computed in seen:
            both = f"{seen[computed]},{value}"
            raise UserError(f"--{name}={both}: both are {computed:g} in float32")
        seen[computed] = value


def at_most(name: str, value: float, high: float) -> None:
    """Raises UserError if a number is above ``high``."""
    if value > high:
        raise UserError(f"--{name}={value}: must be at most {high:g}")


def check_devices(options: Any) -> None:
    """Checks the fields ``devices`` and ``member_chunk`` of some options.

    Raises:
      UserError: a field is neither "auto" nor a number in its range.
    """
    for name in ("devices", "member_chunk"):
        value = getattr(options, name)
        if value == "auto":
            continue
        digits = value.isascii() and value.isdigit()
        if not digits or not value.strip("0"):
            raise UserError(f"--{name}={value}: give a positive number or auto")
        most = _MOST[name]
        # Check the length first: Python refuses to parse thousands of digits.
        if len(value) > 9 or int(value) > most:
            raise UserError(f"--{name}={value}: must be at most {most}")
