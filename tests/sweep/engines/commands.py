"""The command line with twelve small cells, most of which share their programs."""

import os
import sys
from pathlib import Path

CELLS = 12
# What is compiled is next to nothing, and fast.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
ENVIRONMENT = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": QUICK,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "RAY_AUTH_MODE": "disabled",
}
# The command line; at its end no JAX backend may have been started.
DRIVER = """
import runpy, sys
sys.argv[0] = "normlab.sweep"
try:
    runpy.run_module("normlab.sweep", run_name="__main__")
except SystemExit as stop:
    from jax._src import xla_bridge
    assert not xla_bridge.backends_are_initialized()
    raise
"""


def words(out: Path, cache: Path) -> list[str]:
    flags = {
        "dataset": "digits",
        "train_size": 64,
        "width": 0.25,
        "norm": "batch",
        "init": "standard,report,glorot",
        "norm_dense": "false,true",
        "batch_order": "shuffled,report",
        "lr": "1e-3,1e-2",
        "num_seeds": 1,
        "batch_size": 8,
        "steps": 40,
        "eval_every": 20,
        "train_eval_size": 32,
        "eval_batch_size": 50,
        "call_steps": 4,
        "checkpoint_seconds": 0,
        "devices": 1,
        "compilation_cache": cache,
        "out": out,
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def command(out: Path, cache: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "normlab.sweep", *words(out, cache), *more]
