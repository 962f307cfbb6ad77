"""Clocks: a warm-up of every contender alone, then timed runs in turns."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from normlab.bench.contender import Contender

# A peer slower than the fastest by more than this takes fewer steps a timed run.
_PATIENCE = 5.0
_LEAST_STEPS = 3
# Enough to see the loss after ten updates.
_WARM_STEPS = 11


@dataclass(frozen=True)
class WarmUp:
    """What the first calls of a contender showed.

    Attributes:
      losses: float32 (members, steps), the first steps of every member.
      compile_seconds: what the first call took more than a later one, or what the
        contender itself says it spent on compiling.
      ms: milliseconds per member and step, after the compilation.
      memory_bytes: what the contender then says it holds at its peak; None if unknown.
    """

    losses: np.ndarray
    compile_seconds: float
    ms: float
    memory_bytes: int | None


def timed_run(contender: Contender, steps: int) -> tuple[float, np.ndarray]:
    """(seconds, losses (members, steps)) of all members from their start."""
    seconds, losses = 0.0, []
    for part in range(contender.parts):
        contender.reset(part)
        start = time.perf_counter()
        losses.append(contender.train(steps))
        seconds += time.perf_counter() - start
    return seconds, np.concatenate(losses)


def warm_up(contender: Contender, steps: int) -> WarmUp:
    """One step of every member, which compiles; then eleven, or ``steps`` if fewer.

    Twice: where only later calls are compiled or recorded, the first eleven are, too.
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
    """How many steps each contender takes in a timed run.

    All of them, unless it is more than 5 times slower than the fastest: then as many
    as fit in 5 times the fastest one's run, and 3 at least.

    Args:
      ms: milliseconds per member and step, by contender.
      steps: of a whole run.
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
    """Milliseconds per member and step of ``repeats`` runs of every contender."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            seconds, losses = timed_run(contender, steps[name])
            times[name].append(1e3 * seconds / losses.size)
    return times
