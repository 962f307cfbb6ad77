"""Strict JAX for every test: rank promotion raises, figures draw off screen."""

import gc
import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Compiling takes most of the time: programs are kept for the next run of the tests.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache/jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import jax
import pytest

# Compiled modules are kept, too: pytest rewrites all asserts, which takes seconds.
sys.dont_write_bytecode = False
# Python looks for cycles so often that it takes a seventh of the time.
gc.set_threshold(50_000, 10, 10)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Members can be spread over devices; a test that does not ask runs on the first.
jax.config.update("jax_num_cpu_devices", 4)
# Who runs the tests in the background has them, and all they start, ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Where programs are kept, and which.
KEPT = {
    name: jax.config.values[name]
    for name in (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
    )
}


def pytest_collection_finish() -> None:
    gc.freeze()  # modules and tests stay, and are not looked through again


@pytest.fixture(autouse=True)
def programs_are_kept_in_one_place():
    """Whatever a command says that a test calls."""
    yield
    for name, value in KEPT.items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)


@pytest.fixture
def x64():
    """Float64 for one test; the float32 default is restored after it."""
    with jax.enable_x64(True):
        yield
