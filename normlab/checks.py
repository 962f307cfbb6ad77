"""Checks of settings: each raises a `UserError` that names the flag."""

import dataclasses
import math
from typing import Any

import numpy as np

from normlab.errors import UserError
from normlab.settings import ProbeSettings

EXECUTION = ("auto", "vmap", "map", "loop")
# Steps are 32-bit numbers in the store, and an epoch has less than 1e4 of them.
_LONGEST = 100_000_000
# The largest float32: networks and what trains them know no larger number.
_LARGEST = 3.4e38
# The smallest float32 that is not taken for 0: XLA flushes subnormal numbers.
_SMALLEST = float(np.finfo(np.float32).smallest_normal)
_WIDEST, _MOST_PROBES = 10_000, 10_000
_MOST = {"devices": 1024, "member_chunk": 1_000_000}


def unknown(flag: str, value: str, known: tuple[str, ...]) -> UserError:
    return UserError(f"--{flag}={value}: unknown; known: {', '.join(known)}")


def at_least(config: Any, name: str, low: float) -> None:
    values = getattr(config, name)
    for value in values if isinstance(values, tuple) else (values,):
        if isinstance(value, int) and value >= 2**31:
            raise UserError(f"--{name}={value}: must be below 2**31")
        if not (math.isfinite(value) and value >= low):
            raise UserError(f"--{name}={value}: must be {low} or more, and finite")
        at_most(name, value, _LARGEST)


def at_most(name: str, value: float, high: float) -> None:
    if value > high:
        raise UserError(f"--{name}={value}: at most {high:g}")


def below(config: Any, name: str, high: float) -> None:
    for value in getattr(config, name):
        if value >= high:
            raise UserError(f"--{name}={value}: must be below {high}")


def check_float32(config: Any, name: str, *edges: float) -> None:
    """Checks that float32, which networks compute in, tells the values apart.

    Args:
      edges: numbers that mean something else than those beside them: 0 is no learning.

    Raises:
      UserError: a value becomes one of ``edges``, or two values become the same.
    """
    seen: dict[float, float] = {}
    values = getattr(config, name)
    for value in values if isinstance(values, tuple) else (values,):
        computed = float(np.float32(value))
        computed = computed if abs(computed) >= _SMALLEST else 0.0
        if computed in edges and computed != value:
            raise UserError(f"--{name}={value}: it is {computed:g} in float32")
        if computed in seen:
            both = f"{seen[computed]},{value}"
            raise UserError(f"--{name}={both}: both are {computed:g} in float32")
        seen[computed] = value


def check_axes(config: Any) -> None:
    """The tuples of ``config``: something in each, and nothing twice.

    Raises:
      UserError: one is empty, or names a value twice.
    """
    for spec in dataclasses.fields(config):
        values = getattr(config, spec.name)
        if not isinstance(values, tuple):
            continue
        if not values and spec.name != "probes":
            raise UserError(f"--{spec.name} needs at least one value")
        check_distinct(spec.name, values)


def check_distinct(name: str, values: tuple) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise UserError(f"--{name} names {value} twice")
        seen.add(value)


def check_numbers(config: Any) -> None:
    for name in ("lr", "weight_decay", "momentum", "epsilon", "norm_momentum"):
        at_least(config, name, 0)
    for name in ("noise_mean", "noise_mean_spread", "noise_scale_spread"):
        at_least(config, name, 0)
    at_least(config, "noise_scale", 1)
    for name in ("seed", "epochs", "steps", "train_size"):
        at_least(config, name, 0)
    for name in ("eval_every", "path_every", "probe_every"):
        at_least(config, name, 0)
    for name in ("regroup_at", "regroup_every"):
        at_least(config, name, 0)
    for name in ("num_seeds", "train_eval_size", "eval_batch_size"):
        at_least(config, name, 1)
    if not (math.isfinite(config.eval_epochs) and config.eval_epochs > 0):
        raise UserError(
            f"--eval_epochs={config.eval_epochs}: must be above 0, and finite"
        )
    check_probes(config)
    for value in config.width:
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"--width={value}: must be above 0, and finite")
        at_most("width", value, _WIDEST)
    for name in ("batch_size", "groups"):
        at_least(config, name, 1)
    for name in ("momentum", "norm_momentum"):
        below(config, name, 1)
        check_float32(config, name, 0, 1)
    for name in ("lr", "weight_decay", "epsilon"):
        check_float32(config, name, 0)
    for name in ("noise_mean", "noise_mean_spread", "noise_scale_spread"):
        check_float32(config, name, 0)
    check_float32(config, "noise_scale", 1)
    if config.seed + config.num_seeds > 2**31:
        raise UserError(f"--seed={config.seed}: seeds must stay below 2**31")
    for name in ("epochs", "steps"):
        if getattr(config, name) > _LONGEST:
            raise UserError(f"--{name}={getattr(config, name)}: at most {_LONGEST}")
    if config.epochs and config.steps:
        raise UserError("--epochs and --steps are both given; give one")
    if not (config.epochs or config.steps):
        raise UserError("give the length of training: --epochs or --steps")


def check_probes(settings: ProbeSettings) -> None:
    """The numbers of ``settings``.

    Raises:
      UserError: one is out of range.
    """
    for name in ("probe_images", "probe_iterations", "probe_bins"):
        at_least(settings, name, 1)
    at_least(settings, "probe_samples", 2)
    # Squared, the compiler would not survive the largest number that there is.
    for name in ("probe_iterations", "probe_bins", "probe_samples"):
        at_most(name, getattr(settings, name), _MOST_PROBES)
    at_least(settings, "probe_channels", 0)
    for value in settings.probe_etas:
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"--probe_etas={value}: must be above 0, and finite")
        at_most("probe_etas", value, _LARGEST)
    check_float32(settings, "probe_etas", 0)


def check_devices(options: Any) -> None:
    """The fields ``execution``, ``devices`` and ``member_chunk`` of some options.

    Raises:
      UserError: one is not what it may be.
    """
    if options.execution not in EXECUTION:
        raise unknown("execution", options.execution, EXECUTION)
    for name in ("devices", "member_chunk"):
        value = getattr(options, name)
        if value == "auto":
            continue
        digits = value.isascii() and value.isdigit()
        if not digits or not value.strip("0"):
            raise UserError(f"--{name}={value}: give a positive number or auto")
        most = _MOST[name]
        # By its length first: Python refuses to read thousands of digits.
        if len(value) > 9 or int(value) > most:
            raise UserError(f"--{name}={value}: at most {most}")
