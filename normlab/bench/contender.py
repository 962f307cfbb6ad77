"""A contender of the benchmark: a way to train the members of a task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


def _unknown() -> int | None:
    return None


@dataclass(frozen=True)
class Contender:
    """A way to train the members of a `normlab.bench.task.Task`.

    It trains them in ``parts``, one after another: 1 part if all members train
    together, or one part per member if each has its own loop.

    Attributes:
      reset: ``reset(part)`` restores the initial parameters of the part's members and
        waits until this is done. It is not timed.
      train: ``train(steps)`` trains for this many steps on the task's first batches. It
        returns their losses on the host, float32 (members of the part, steps), after
        the device has finished all work.
      parts: the number of parts.
      compile_seconds: the time spent compiling, if the contender knows it. Otherwise it
        is the difference between the first and a later call.
      trained: the members that it trains, by number, if they are not all. Members that
        take the same time, one after another, need not all be waited for.
      twin: like ``train``, of all members, from a start that differs by the rounding of
        products. It shows how much rounding grows.
      memory: peak memory in bytes beyond the training images, or None if unknown.
    """

    reset: Callable[[int], None]
    train: Callable[[int], np.ndarray]
    parts: int = 1
    compile_seconds: Callable[[], float] | None = None
    memory: Callable[[], int | None] = _unknown
    twin: Callable[[int], np.ndarray] | None = None
    trained: Sequence[int] | None = None
