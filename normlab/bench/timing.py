"""Timing: warms up every contender separately, then times runs in turns."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from normlab.bench.contender import Contender

# Peers slower than the fastest by more than this factor take fewer steps per timed run.
_PATIENCE = 5.0
_LEAST_STEPS = 3
# The last of these losses is the one after ten updates.
_WARM_STEPS = 11


@dataclass(frozen=True)
class WarmUp:
    """The results of a contender's first calls.

    Attributes:
      losses: the losses of the first steps, float32 (members, steps).
      compile_seconds: the compile time that the contender reports, or the difference
        between the first and a later call.
      ms: milliseconds per member and step after compilation.
      memory_bytes: the peak memory that the contender reports, or None if unknown.
    """

    losses: np.ndarray
    compile_seconds: float
    ms: float
    memory_bytes: int | None


def timed_run(contender: Contender, steps: int) -> tuple[float, np.ndarray]:
    """Trains all members from their start; (seconds, losses (members, steps))."""
    seconds, losses = 0.0, []
    for part in range(contender.parts):
        contender.reset(part)
        start = time.perf_counter()
        losses.append(contender.train(steps))
        seconds += time.perf_counter() - start
    return seconds, np.concatenate(losses)


def warm_up(contender: Contender, steps: int) -> WarmUp:
    """Runs one step of every member to compile, then up to 11 steps, twice.

    The second time is needed for contenders that only compile or record later calls.
    """
    first, _ = timed_run(contender, 1)
    count = min(_WARM_STEPS, steps)
    second, _ = timed_run(contender, count)
    seconds, losses = timed_run(contender, count)
    spent = max(first + second - (1 + count) * seconds / count, 0.0)
    if contender.compile_seconds is not None:
        spent = contender.compile_seconds()
    ms = 1e3 * seconds / losses.size
    # Now, while no later contender has been at work.
    return WarmUp(losses, spent, ms, contender.memory())


def steps_a_run(ms: Mapping[str, float], steps: int) -> dict[str, int]:
    """The number of steps of each contender in a timed run.

    A contender that is more than 5 times slower than the fastest takes as many steps as
    fit into 5 times the fastest contender's run, but at least 3.

    Args:
      ms: milliseconds per member and step, by contender.
      steps: the number of steps of a full run.
    """
    limit = _PATIENCE * min(ms.values())

    def fitting(step_ms: float) -> int:
        if step_ms <= limit:
            return steps
        return min(max(int(steps * limit / step_ms), _LEAST_STEPS), steps)

    return {name: fitting(step_ms) for name, step_ms in ms.items()}


def time_in_turns(
    contenders: Mapping[str, Contender], steps: Mapping[str, int], repeats: int
) -> dict[str, list[float]]:
    """Milliseconds per member and step for ``repeats`` runs of every contender."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            seconds, losses = timed_run(contender, steps[name])
            times[name].append(1e3 * seconds / losses.size)
    return times
