"""Whether other programs kept the cores of this process busy."""

import os
import sys
import time
from typing import NamedTuple

import psutil

from normlab.members.placement import cores

# Other programs may take this share of the cores of a process.
_SHARE = 0.1
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


class Spent(NamedTuple):
    """Seconds so far.

    Attributes:
      clock: by the clock.
      all: of the cores that this process may use, by all programs.
      own: of those, by this process.
    """

    clock: float
    all: float
    own: float


def spent() -> Spent:
    """The seconds until now."""
    every = psutil.cpu_times(percpu=True)
    mine = os.sched_getaffinity(0) if sys.platform == "linux" else range(len(every))
    busy = sum(
        getattr(times, name, 0.0)
        for core, times in enumerate(every)
        if core in mine
        for name in _BUSY
    )
    return Spent(time.monotonic(), busy, time.process_time())


def is_quiet(before: Spent, after: Spent) -> bool:
    """Whether other programs took little time of the cores in between.

    What they do on a GPU is not seen. In a container with a quota of a larger machine,
    the whole machine counts.
    """
    others = (after.all - before.all) - (after.own - before.own)
    return others <= _SHARE * cores() * (after.clock - before.clock)
