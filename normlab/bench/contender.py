"""What is timed: something that trains the members of a task."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def _unknown() -> int | None:
    return None


@dataclass(frozen=True)
class Contender:
    """A way to train all members of a `normlab.bench.task.Task`.

    It trains them in ``parts``, one after another: 1 where all members go together,
    as many as there are members where each has a loop of its own.

    Attributes:
      reset: ``reset(part)`` puts the part's members back to their initial parameters
        and waits until that is done; it is not timed.
      train: ``train(steps)`` takes so many steps from there, over the task's first
        batches, and returns their losses, float32 (members of the part, steps), on
        the host: when it returns, the device has nothing left to do.
      parts: how many parts there are.
      compile_seconds: seconds spent compiling, where the contender knows; else it is
        the first call less a later one.
      memory: peak bytes held beyond the training images; None where unknown.
    """

    reset: Callable[[int], None]
    train: Callable[[int], np.ndarray]
    parts: int = 1
    compile_seconds: Callable[[], float] | None = None
    memory: Callable[[], int | None] = _unknown
