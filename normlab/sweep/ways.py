"""Finds by timing how the members of a cell run fastest on this machine.

A training is timed only if that takes a small share of it. Only its steps are timed;
evaluations and probes, which are few, run in the same way. What was found is kept
beside the compiled programs, so later cells like it know it from the start.

First all executions and forms of the convolution are timed, with as many members at
once as fit in memory. If the fastest is vmap, half as many at once are timed, and again
half of them, for as long as that is faster.
"""

import contextlib
import hashlib
import json
import logging
import socket
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import jax

from normlab.cell import Cell
from normlab.errors import UserError, one_line
from normlab.members.over import debugging
from normlab.members.placement import cores, padded
from normlab.members.platform import platform_here
from normlab.run_options import RunOptions
from normlab.settings import NetworkSettings, NormSettings, named
from normlab.store.layout import read_json, write_json
from normlab.store.provenance import device, versions
from normlab.train.way import Way, candidates

log = logging.getLogger(__name__)

# Timing may take this share of the training that it is for.
_SHARE = 0.05
# Below so many member-steps nothing is timed, not even a step.
_LEAST_MEMBER_STEPS = 1000
# A way is timed in several rounds of so many seconds; its best round counts.
_ROUNDS, _ROUND_SECONDS = 3, 0.2
# The way that would be taken without timing is kept, unless another is faster by this.
_GAIN = 0.03
# What a step depends on, besides the network and the norm.
_STEP = ("batch_size", "accumulate", "augment", "optimizer", "precision")

# Way -> milliseconds per member and step.
Times = dict[Way, float]


def is_open(cell: Cell, options: RunOptions) -> bool:
    """Whether the way of a cell may be chosen by timing."""
    asked = candidates(options.execution, options.conv, platform_here())
    sizes = any(_has_sizes(way, options) for way in asked) and len(cell.members) > 2
    few = cell.member_steps < _LEAST_MEMBER_STEPS
    settled = few or options.deterministic or debugging()
    return (len(asked) > 1 or sizes) and not settled


def others(options: RunOptions) -> int:
    """How many ways are timed beside the one that would be taken without timing.

    At least one: if there is only one execution and form, half as many members.
    """
    asked = candidates(options.execution, options.conv, platform_here())
    return max(1, len(asked) - 1)


def is_worth_it(
    cell: Cell, step_seconds: float, compile_seconds: float, others: int
) -> bool:
    """Whether timing so many other ways takes a small share of the training.

    Args:
      step_seconds: of one step of all members, as it would run without timing.
      compile_seconds: the time to compile that.
    """
    each = compile_seconds + 2 * step_seconds
    each += _ROUNDS * max(_ROUND_SECONDS, step_seconds)
    # The one that is chosen is compiled once more.
    return others * each + compile_seconds <= _SHARE * step_seconds * cell.config.steps


def _has_sizes(way: Way, options: RunOptions) -> bool:
    """Whether the number of members at once is open, and changes the program."""
    return way.execution == "vmap" and options.member_chunk == "auto"


def half_at_once(
    way: Way, at_once: int, members: int, devices: int, options: RunOptions
) -> Way | None:
    """The way with half as many members at once; None if that is no candidate.

    One member on each device is none, because map does the same without moving states.

    Args:
      at_once: members on all devices at once.
      members: of the cell.
    """
    chunks = -(-members // at_once)
    half = padded(-(-members // (2 * chunks)), devices)
    if not _has_sizes(way, options) or not 2 * devices <= half < at_once:
        return None
    return way._replace(at_once=half)


def seconds_of(train: Callable[[int, int], Any], most: int) -> float:
    """Seconds of a step: the best of some rounds.

    Args:
      train: ``(step, count)`` takes ``count`` steps; it is compiled already.
      most: the most steps of one call.
    """
    first = _timed(train, 1)
    count = max(1, min(most, int(_ROUND_SECONDS / max(first, 1e-9))))
    return min(_timed(train, count) / count for _ in range(_ROUNDS))


def seconds_in_turns(train: Callable[[int, int], Any], most: int) -> float:
    """Seconds of a step if chunks of members take turns.

    Every call moves all states to the device and back. So the time of a call of
    ``most`` steps is computed from those of one step and of some. This is a difference,
    which could be too small by chance, so the median round counts.
    """
    some = min(most, max(2, int(_ROUND_SECONDS / max(_timed(train, 1), 1e-9))))

    def of_a_round() -> float:
        one = _timed(train, 1)
        each = (_timed(train, some) - one) / (some - 1) if some > 1 else one
        return (one + (most - 1) * max(each, 0.0)) / most

    return statistics.median(of_a_round() for _ in range(_ROUNDS))


def _timed(train: Callable[[int, int], Any], count: int) -> float:
    started = time.perf_counter()
    train(1, count)
    return time.perf_counter() - started


def time_all(
    first: Mapping[Way, float],
    options: RunOptions,
    seconds: Callable[[Way], float],
    smaller: Callable[[Way, int], Way | None],
    members: int,
) -> Times:
    """The milliseconds of every way that works, that of ``first`` in front.

    A way that fails is no candidate, whatever the reason: the first one works.

    Args:
      first: the seconds of the way that would be taken without timing.
      seconds: the seconds of one step of all members.
      smaller: of a way, after so many have been timed, the one with fewer members at
        once; None if it is not to be timed.
    """
    times = dict(first)

    def add(way: Way) -> None:
        try:
            times[way] = seconds(way)
        except Exception as error:
            log.warning("%s is not timed, because it fails: %s", way, one_line(error))

    for way in candidates(options.execution, options.conv, platform_here()):
        if way not in times:
            add(way)
    best = best_of(times)
    while (way := smaller(best, len(times))) is not None:
        add(way)
        if best_of(times) == best:
            break
        best = way
    return {way: 1e3 * value / members for way, value in times.items()}


def best_of(times: Times) -> Way:
    """The first way, unless a later one is clearly faster, and so on.

    No way is faster than the result by more than `_GAIN`.
    """
    best, *later = times
    for way in later:
        if times[way] < (1 - _GAIN) * times[best]:
            best = way
    return best


def told(times: Mapping[Way, float]) -> str:
    """``map with direct 8.1, vmap with patches 9.9 ms per member and step``."""
    ways = sorted(times, key=times.__getitem__)
    numbers = ", ".join(f"{way} {times[way]:.3g}" for way in ways)
    return f"{numbers} ms per member and step"


def read_times(stored: Any) -> Times:
    """Times from pairs (way, milliseconds), as they are stored; {} if damaged."""
    try:
        return {Way.read(name): float(ms) for name, ms in stored}
    except (AttributeError, TypeError, ValueError):
        return {}


def remembered(cell: Cell, options: RunOptions, folder: Path | None) -> Times:
    """What `remember` kept for cells like this one on this machine; {} if nothing.

    Only ways that the options allow count.
    """
    if folder is None or not is_open(cell, options):
        return {}
    allowed = candidates(options.execution, options.conv, platform_here())
    try:
        times = read_times(read_json(_path(cell, options, folder)).get("ms"))
    except (OSError, UserError):
        return {}
    # All or nothing, since the first one is the one to leave.
    return times if {way._replace(at_once=0) for way in times} <= set(allowed) else {}


def remember(
    cell: Cell, options: RunOptions, folder: Path | None, times: Times
) -> None:
    """Keeps the times in ``folder``, for cells like this one on this machine."""
    if folder is None:
        return
    path = _path(cell, options, folder)
    record = {
        "for": _key(cell, options),
        "ms": [[str(w), ms] for w, ms in times.items()],
    }
    with contextlib.suppress(OSError, UserError):  # a full disk costs the memory of it
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)


def _path(cell: Cell, options: RunOptions, folder: Path) -> Path:
    text = json.dumps(_key(cell, options), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return folder / "ways" / f"{name}.json"


def _key(cell: Cell, options: RunOptions) -> dict[str, Any]:
    """Everything that the times depend on."""
    config = vars(cell.config)
    names = (*named(NetworkSettings), *named(NormSettings), *_STEP)
    where = socket.gethostname() if platform_here() == "cpu" else ""
    return {
        "device": device(),
        "where": where,
        "cores": cores(),
        "devices": [options.devices, len(jax.local_devices())],
        "member_chunk": options.member_chunk,
        "ways": [options.execution, options.conv],
        "versions": versions() | {"driver": _client().platform_version},
        "call_steps": options.call_steps,
        # Neighbours of one seed may share their images.
        "seeds": [len(list(some)) for _, some in groupby(m.seed for m in cell.members)],
        "config": {name: config[name] for name in dict.fromkeys(names)},
    }


def _client() -> Any:
    """JAX's connection to the devices."""
    return jax.local_devices()[0].client
