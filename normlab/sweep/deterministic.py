"""Fixes what may differ between two starts of JAX."""

import os

import jax

_OPS = "--xla_gpu_deterministic_ops"


def make_deterministic() -> None:
    """Makes the same program give the same bits at every start on the same machine.

    Without this, a GPU adds numbers in the order in which its threads arrive, and picks
    the kernel that happened to be fastest. The flag forbids both and costs some speed.
    A CPU does not need it. The random streams are pinned as well, because the
    environment could change them.

    Call this before JAX looks for devices; later it changes nothing.
    """
    told = os.environ.get("XLA_FLAGS", "").split()
    kept = [word for word in told if word.partition("=")[0] != _OPS]
    os.environ["XLA_FLAGS"] = " ".join([*kept, f"{_OPS}=true"])
    jax.config.update("jax_default_prng_impl", "threefry2x32")
    jax.config.update("jax_threefry_partitionable", True)
