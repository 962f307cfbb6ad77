"""How much memory a cell takes: an upper bound, or what the compiler measures."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params

from normlab.errors import UserError
from normlab.members.placement import padded

# Of the free memory: the rest is for the data, the compiler and other programs.
_SHARE = 0.6


@dataclass(frozen=True)
class Footprint:
    """Bytes of one member.

    Attributes:
      state: the stored state.
      working: what a step or an evaluation holds beside it.
      measured: whether ``working`` is the compiler's own number; else it is an upper
        bound.
    """

    state: int
    working: int
    measured: bool = False

    def total(self, members: int, execution: str, devices: int = 1) -> int:
        """Bytes on all ``devices`` together for ``members`` at once."""
        members = padded(members, devices)
        at_work = members if execution == "vmap" else devices
        # Twice the state: the old one and the new one.
        return 2 * self.state * members + self.working * at_work


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of JAX says that a device's memory did not suffice."""
    return "RESOURCE_EXHAUSTED" in str(error)


@contextlib.contextmanager
def out_of_memory(what: str) -> Iterator[None]:
    """Raises UserError(``what``) where a device runs out of memory inside."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(what) from error


def tree_bytes(tree) -> int:
    """Bytes of a tree of arrays or ShapeDtypeStructs."""
    return sum(
        int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )


def working_bytes(function: Callable, *args) -> int:
    """Bytes of every intermediate of ``function``, as if none were ever freed.

    The compiler fuses and reuses, so this is an upper bound; a loop's body counts
    once, under ``jax_disable_jit`` as well. Takes ShapeDtypeStructs for arrays.
    """
    with jax.disable_jit(False):
        return _jaxpr_bytes(jax.make_jaxpr(function)(*args).jaxpr)


def compiled_bytes(function: Callable, *args) -> int:
    """Bytes that ``function``, compiled, takes beside its arguments and results.

    By the compiler's own account; by `working_bytes` on a backend that gives none.
    Takes ShapeDtypeStructs for arrays.
    """
    with jax.disable_jit(False):
        analysis = jax.jit(function).lower(*args).compile().memory_analysis()
    if analysis is None:
        return working_bytes(function, *args)
    return int(analysis.temp_size_in_bytes)


def _jaxpr_bytes(jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        inner = [_jaxpr_bytes(sub) for sub in jaxprs_in_params(equation.params)]
        output_bytes = sum(
            int(np.prod(v.aval.shape)) * np.dtype(v.aval.dtype).itemsize
            for v in equation.outvars
            if hasattr(v.aval, "shape") and isinstance(v.aval.dtype, np.dtype)
        )
        total += sum(inner) if inner else output_bytes
    return total


def available_bytes(devices: Sequence[Any], whole: bool = False) -> int:
    """Memory for arrays: that of all the GPUs, or the machine's for CPUs.

    Args:
      whole: all of it, and not what is free just now.
    """
    total = 0
    for device in devices:
        stats = device.memory_stats() if device.platform != "cpu" else None
        if not stats or "bytes_limit" not in stats:
            return int(min(_machine_bytes(whole), _container_bytes(whole)))
        used = 0 if whole else int(stats.get("bytes_in_use", 0))
        total += int(stats["bytes_limit"]) - used
    return total


def _machine_bytes(whole: bool) -> int:
    """Memory that programs could get; half of all where the system does not say."""
    name = "MemTotal:" if whole else "MemAvailable:"
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _container_bytes(whole: bool) -> float:
    """What the control group may (still) take, where it has a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="utf-8").strip()
        current = group / "memory.current"
        used = 0 if whole else int(current.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit == "max" else max(int(limit) - used, 0)


def choose_member_chunk(
    asked: str,
    members: int,
    footprint: Footprint,
    execution: str,
    available: int,
    devices: int = 1,
) -> tuple[int, str]:
    """(members on the devices at once, why).

    The fewest equal chunks of members that fit, so that the last is not mostly padding.

    Args:
      available: bytes on all ``devices`` together.
    """
    if asked != "auto":
        size = min(int(asked), members)
        return size, "asked for"
    free_bytes = int(available * _SHARE)
    most = most_that_fit(members, footprint, execution, free_bytes, devices)
    size = -(-members // -(-members // most))
    fit = "all fit" if most == members else f"{most} of {members} fit"
    source = "as the compiler measured" if footprint.measured else "by an upper bound"
    free = f"{_SHARE:.0%} of the {available / 2**30:.1f} GiB that are free"
    return size, f"auto: {fit} in {free}, {source}"


def most_that_fit(
    members: int,
    footprint: Footprint,
    execution: str,
    free_bytes: int,
    devices: int = 1,
) -> int:
    """The most members, 1 to ``members``, that take at most ``free_bytes``; or 1."""
    counts = range(members, 0, -1)
    fits = (m for m in counts if footprint.total(m, execution, devices) <= free_bytes)
    return next(fits, 1)
