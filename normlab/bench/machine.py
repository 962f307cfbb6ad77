"""Measures this machine's peak rates, to which the benchmark's shares refer."""

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp

from normlab.train.precision import layer_dtype, products_in
from normlab.words import counted


@dataclass(frozen=True)
class Machine:
    """The device and its two rates, measured with JAX.

    Attributes:
      name: the name of the accelerator, or of the CPU with its number of cores.
      matmul_gflops: GFLOP/s of a large float32 product, with the benchmark's precision.
      bandwidth_gbs: GB/s read and written by an addition to a large array.
    """

    name: str
    matmul_gflops: float
    bandwidth_gbs: float


def measure_machine(precision: str, repeats: int = 5) -> Machine:
    """Measures both rates: the best of ``repeats``, with sizes that suit the device."""
    size = 2048 if jax.devices()[0].platform == "cpu" else 4096
    return Machine(
        machine_name(),
        matmul_rate(size, precision, repeats) / 1e9,
        # 512 MiB is larger than any cache, including a server's last-level cache.
        bandwidth(2**27, repeats) / 1e9,
    )


def matmul_rate(size: int, precision: str, repeats: int) -> float:
    """FLOP/s of a product of two (size, size) matrices, in ``precision``."""
    dtype = layer_dtype(precision) or jnp.float32
    # Multiplying by a permutation of rows keeps the values bounded.
    a = jnp.roll(jnp.eye(size, dtype=dtype), 1, axis=0)
    x = jnp.ones((size, size), dtype)
    product = jax.jit(products_in(precision, lambda x: jnp.dot(a, x)))
    return 2 * size**3 / _best_seconds(product, x, repeats)


def bandwidth(size: int, repeats: int) -> float:
    """Bytes/s, read and written, of an addition to ``size`` float32 numbers.

    The addition is in place, so that allocating memory is not timed.
    """
    add = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.zeros((size,), jnp.float32)
    return 2 * 4 * size / _best_seconds(add, x, repeats)


def _best_seconds(
    call: Callable[[jax.Array], jax.Array], x: jax.Array, repeats: int, calls: int = 4
) -> float:
    """Seconds per call: the best mean over ``calls`` consecutive calls.

    Each call gets the result of the previous call. A GPU queues the calls, so it never
    waits for Python.
    """
    x = jax.block_until_ready(call(x))  # compiles
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            x = call(x)
        jax.block_until_ready(x)
        best = min(best, (time.perf_counter() - start) / calls)
    return best


def machine_name() -> str:
    """The accelerator's name, or the CPU's and how many cores this process has."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return device.device_kind
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else None
    return f"{_cpu_name()}, {counted(cores or os.cpu_count() or 1, 'core')}"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
