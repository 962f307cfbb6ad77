"""How much memory a cell takes, before anything is compiled."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params

# Of the free memory: the rest is for the data, the compiler and other programs.
_SHARE = 0.6


@dataclass(frozen=True)
class Footprint:
    """Bytes of one member.

    Attributes:
      state: the stored state.
      working: an upper bound on what a step or an evaluation holds beside it.
    """

    state: int
    working: int

    def total(self, members: int, mode: str) -> int:
        """Bytes on the device for ``members`` at once."""
        at_work = members if mode == "vmap" else 1
        # Twice the state: the old one and the new one.
        return 2 * self.state * members + self.working * at_work


def tree_bytes(tree) -> int:
    """Bytes of a tree of arrays or ShapeDtypeStructs."""
    return sum(
        int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )


def working_bytes(function: Callable, *args) -> int:
    """Bytes of every intermediate of ``function``, as if none were ever freed.

    The compiler fuses and reuses, so this is an upper bound; a loop's body counts
    once. Takes ShapeDtypeStructs for arrays.
    """
    return _jaxpr_bytes(jax.make_jaxpr(function)(*args).jaxpr)


def _jaxpr_bytes(jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        inner = [_jaxpr_bytes(sub) for sub in jaxprs_in_params(equation.params)]
        own = sum(
            int(np.prod(v.aval.shape)) * np.dtype(v.aval.dtype).itemsize
            for v in equation.outvars
            if hasattr(v.aval, "shape") and isinstance(v.aval.dtype, np.dtype)
        )
        total += sum(inner) if inner else own
    return total


def available_bytes(device: Any) -> int:
    """Free memory for a device's arrays: the GPU's own, or the machine's for a CPU."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    return int(min(_machine_bytes(), _container_bytes()))


def _machine_bytes() -> int:
    """Memory that programs could get; half of all where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _container_bytes() -> float:
    """What the control group may still take, where it has a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit == "max" else max(int(limit) - used, 0)


def choose_chunk(
    asked: str, members: int, footprint: Footprint, mode: str, available: int
) -> tuple[int, str]:
    """(members on the device at once, why).

    The fewest equal chunks that fit, so that the last one is not mostly padding.
    """
    if asked != "auto":
        size = min(int(asked), members)
        return size, "asked for"
    room = int(available * _SHARE)
    fits = [m for m in range(1, members + 1) if footprint.total(m, mode) <= room]
    most = max(fits, default=1)
    size = -(-members // -(-members // most))
    why = f"auto: {most} of {members} fit in {_SHARE:.0%}"
    return size, f"{why} of {available / 2**30:.1f} GiB free"
