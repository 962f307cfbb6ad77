"""The memory that a cell needs: an upper bound, or what the compiler measures."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import psutil
from jax.extend.core import jaxprs_in_params

from normlab.errors import UserError
from normlab.members.placement import padded

# The share of the free memory to use. The data, the compiler and others need the rest.
_SHARE = 0.6


@dataclass(frozen=True)
class Footprint:
    """Bytes that one member needs.

    Attributes:
      state: the stored state.
      working: what a step or an evaluation needs besides the state.
      measured: whether the compiler measured ``working``; otherwise it is an upper
        bound.
    """

    state: int
    working: int
    measured: bool = False

    def total(self, members: int, execution: str, devices: int = 1) -> int:
        """Bytes on all ``devices`` together, with ``members`` at once."""
        members = padded(members, devices)
        at_work = members if execution == "vmap" else devices
        # Twice the state: the old one and the new one.
        return 2 * self.state * members + self.working * at_work


def is_out_of_memory(error: Exception) -> bool:
    """Whether a JAX error says that a device ran out of memory."""
    return "RESOURCE_EXHAUSTED" in str(error)


@contextlib.contextmanager
def out_of_memory(what: str) -> Iterator[None]:
    """Raises UserError(``what``) if a device runs out of memory in this context."""
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
    """Bytes of all intermediates of ``function``, as if none were ever freed.

    The compiler fuses operations and reuses memory, so this is an upper bound. A loop's
    body counts once, also under ``jax_disable_jit``. ShapeDtypeStructs may stand for
    arrays.
    """
    with jax.disable_jit(False):
        return _jaxpr_bytes(jax.make_jaxpr(function)(*args).jaxpr)


def compiled_bytes(function: Callable, *args) -> int:
    """Bytes that the compiled ``function`` needs besides its arguments and results.

    The compiler reports them. If the backend reports nothing, this is `working_bytes`.
    ShapeDtypeStructs may stand for arrays.
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
    """Memory for arrays, in bytes: that of all the GPUs, or the machine's for CPUs.

    Args:
      whole: count all memory, not only what is free now.
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
    """Memory that programs could use, by the system's account."""
    memory = psutil.virtual_memory()
    return memory.total if whole else memory.available


def _container_bytes(whole: bool) -> float:
    """Memory that the control group may (still) use; infinite if it has no limit."""
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
    """(the number of members on the devices at once, the reason).

    Uses as few equal chunks as fit, so that the last one is not mostly padding.

    Args:
      available: bytes on all ``devices`` together.
    """
    if asked != "auto":
        size = min(int(asked), members)
        return size, "as requested"
    free_bytes = int(available * _SHARE)
    most = most_that_fit(members, footprint, execution, free_bytes, devices)
    size = -(-members // -(-members // most))
    fit = "all fit" if most == members else f"{most} of {members} fit"
    source = "measured by the compiler" if footprint.measured else "by an upper bound"
    free = f"{_SHARE:.0%} of the {available / 2**30:.1f} GiB of free memory"
    return size, f"auto: {fit} in {free}, {source}"


def most_that_fit(
    members: int,
    footprint: Footprint,
    execution: str,
    free_bytes: int,
    devices: int = 1,
) -> int:
    """The most members, 1 to ``members``, that fit in ``free_bytes``; at least 1."""
    counts = range(members, 0, -1)
    fits = (m for m in counts if footprint.total(m, execution, devices) <= free_bytes)
    return next(fits, 1)
