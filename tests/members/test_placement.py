"""Members cut over devices, and how many devices take part."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.members.placement import Placement, _quota, choose_devices, padded


@pytest.mark.parametrize(
    "asked, members, available, platform, count",
    [
        ("auto", 8, 2, "cpu", 2),
        ("auto", 1, 4, "cpu", 1),
        ("auto", 3, 2, "cpu", 1),  # a second device would idle every other time
        ("auto", 11, 2, "cpu", 2),
        ("auto", 12, 8, "cpu", 6),
        ("auto", 3, 2, "gpu", 2),
        ("auto", 3, 8, "gpu", 3),
        ("1", 8, 4, "gpu", 1),
        ("2", 8, 4, "cpu", 2),
        ("9", 8, 4, "cpu", 4),
        ("2", 3, 2, "cpu", 2),  # asked for: the waste is the user's
    ],
)
def test_choose_devices(asked, members, available, platform, count):
    assert choose_devices(asked, members, available, platform, "map") == count
    assert choose_devices(asked, members, available, platform, "loop") == 1


def test_padded():
    assert [padded(n, 3) for n in (1, 3, 4)] == [3, 3, 6]


def test_split_and_shared_arrays_and_a_function_over_them():
    devices = jax.devices()[:3]
    place = Placement(devices)
    x, shared = place.split(jnp.arange(6.0)), place.share(jnp.float32(2))
    shards = {s.device: np.asarray(s.data) for s in x.addressable_shards}
    np.testing.assert_array_equal(shards[devices[1]], [2, 3])
    assert shared.sharding.is_fully_replicated
    over = place.over_devices(lambda x, s: jax.lax.cumsum(x) * s, (True, False))
    # Each device sums its own members alone: 0, 1 | 2, 5 | 4, 9.
    np.testing.assert_array_equal(jax.jit(over)(x, shared), [0, 2, 4, 10, 8, 18])


@pytest.mark.parametrize(
    "text, cores",
    [("400000 100000\n", 4), ("150000 100000\n", 2), ("max 100000", None)],
)
def test_a_containers_quota_limits_the_cores(tmp_path, text, cores):
    path = tmp_path / "cpu.max"
    path.write_text(text)
    assert _quota(path) == (cores or sys.maxsize)
    assert _quota(tmp_path / "missing") == sys.maxsize


PROGRAM = """
import jax
from normlab.members.placement import use_cores
use_cores({asked!r})
print(len(jax.devices()))
use_cores("5")
print(len(jax.devices()))
"""


@pytest.mark.parametrize("asked", ["auto", "3"])
def test_a_cpu_counts_as_so_many_devices_until_jax_has_looked(asked):
    told = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    flags = {k: v for k, v in os.environ.items() if k not in told}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(asked=asked)],
        env=flags | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    expected = str(cores) if asked == "auto" else asked
    assert done.stdout.split() == [expected, expected]
