"""Places a cell's members: their axis is split over devices, all else is copied.

A CPU may count as several devices (`use_cores`). Members on different devices run at
the same time, each on its own stream: loops that XLA's CPU backend runs on one core
then keep all cores busy, which two members on one stream cannot.
"""

import contextlib
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from normlab.errors import UserError, one_line

_AXIS = "members"
# The environment variables that select devices.
_ASKED = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "JAX_DEFAULT_DEVICE")
_ASKED += ("JAX_NUM_CPU_DEVICES", "CUDA_VISIBLE_DEVICES", "XLA_FLAGS")
# What JAX prints before its reason (the backend and a status) and behind it (nested
# reasons that are not lists, and advice).
_BEFORE = re.compile(r"^(Unable to initialize backend '[^']*': )?([A-Z_]+: )*")
_BEHIND = re.compile(r": (?!\[).*| \((set|you may) .*")
# A CPU's cores are shared, so members that only pad the last round cost time.
_MOST_PADDING = 1.1


def use_cores(asked: str) -> None:
    """Makes the CPU count as ``asked`` devices; for ``auto``, one for each core.

    This must happen before JAX looks for its devices, which it does here
    (`find_devices`); later it changes nothing. If nothing is compiled
    (``jax_disable_jit``), ``auto`` means one device, because a second one would only
    slow down the first.

    Raises:
      UserError: JAX finds no device.
    """
    _count_cores(asked)
    find_devices()


def _count_cores(asked: str) -> None:
    told = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if told or (asked == "auto" and "JAX_NUM_CPU_DEVICES" in os.environ):
        return
    # A RuntimeError means that JAX has found its devices already.
    with contextlib.suppress(RuntimeError):
        config: Any = jax.config
        most = 1 if config.jax_disable_jit else cores()
        count = most if asked == "auto" else int(asked)
        jax.config.update("jax_num_cpu_devices", count)


def find_devices() -> None:
    """Makes JAX look for its devices, and puts a number on the default one.

    Raises:
      UserError: JAX finds no device of the kind that the environment asks for.
    """
    try:
        jax.device_put(0.0).block_until_ready()
    except (AssertionError, RuntimeError) as error:
        asked = [f"{k}={os.environ[k]}" for k in _ASKED if os.environ.get(k)]
        where = f" with {', '.join(asked)}" if asked else ""
        raise UserError(f"JAX finds no device{where}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """JAX's reason, without the text around it."""
    text = _BEHIND.sub("", _BEFORE.sub("", one_line(error))) if str(error) else ""
    # JAX gives no reason if there is no GPU.
    return text.rstrip(".") or "there is none of that kind"


def cores() -> int:
    """The number of cores this process may use, within a container's quota."""
    if sys.platform == "linux":
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, _quota(Path("/sys/fs/cgroup/cpu.max"))))


def _quota(path: Path) -> int:
    """The cores that a group's ``cpu.max`` allows; very many if it has no limit."""
    try:
        quota, period = path.read_text(encoding="utf-8").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize


def choose_devices(
    asked: str, members: int, available: int, platform: str, execution: str
) -> int:
    """How many of ``available`` devices share ``members`` members.

    The number that was requested, or all. With ``auto`` on a CPU it is the most devices
    that leave almost none idle in the last round. A ``loop`` uses only one.
    """
    if execution == "loop":
        return 1
    most = min(available if asked == "auto" else int(asked), available, members)
    if platform != "cpu" or asked != "auto":
        return most
    counts = range(most, 0, -1)
    return next(n for n in counts if padded(members, n) <= _MOST_PADDING * members)


def padded(members: int, devices: int) -> int:
    """``members`` rounded up to a multiple of ``devices``."""
    return math.ceil(members / devices) * devices


class Placement:
    """Arrays on ``devices``, with the member axis (the first) cut into equal parts.

    Args:
      devices: devices of one platform. The number of members is a multiple of theirs.
    """

    def __init__(self, devices: Sequence[Any]):
        self._mesh = Mesh(np.array(devices), (_AXIS,))
        self.count = len(devices)

    def split(self, tree: Any) -> Any:
        """Splits arrays along their leading member axis over the devices."""
        return self._put(tree, PartitionSpec(_AXIS))

    def share(self, tree: Any) -> Any:
        """Copies arrays that every member reads to each device."""
        return self._put(tree, PartitionSpec())

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        return jax.device_put(tree, NamedSharding(self._mesh, spec))

    def over_devices(self, function: Callable, mapped: Sequence[bool]) -> Callable:
        """``function`` of many members; each device runs it on its own.

        Args:
          mapped: for each argument, whether it has the member axis (else it is
            shared). All results have it.
        """
        if self.count == 1:
            return function
        axes = tuple(PartitionSpec(_AXIS) if m else PartitionSpec() for m in mapped)
        return jax.shard_map(
            function,
            mesh=self._mesh,
            in_specs=axes,
            out_specs=PartitionSpec(_AXIS),
            check_vma=False,  # nothing crosses devices
        )
