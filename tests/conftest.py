"""Strict JAX for every test: rank promotion raises, figures draw off screen."""

import os
import signal

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Nearly all of the time would go to compiling. With XLA_FLAGS= in the environment, the
# tests run on programs that are optimized as a user's are.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
)

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
# Members can be spread over devices; a test that does not ask runs on the first.
jax.config.update("jax_num_cpu_devices", 4)
# Who runs the tests in the background has them, and all they start, ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def x64():
    """Float64 for one test; the float32 default is restored after it."""
    with jax.enable_x64(True):
        yield
