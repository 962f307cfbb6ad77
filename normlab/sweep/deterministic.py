"""What JAX leaves open from one start to the next, fixed."""

import os

import jax

_OPS = "--xla_gpu_deterministic_ops"


def make_deterministic() -> None:
    """Makes the same program give the same bits at every start on the same machine.

    A GPU otherwise adds in whatever order its threads come, and picks the kernel that
    happened to be fastest; the flag forbids both, at some cost in speed. A CPU needs
    none of it. The random streams are pinned, too, which the environment can change.

    Only before JAX has looked for devices; later it changes nothing.
    """
    told = os.environ.get("XLA_FLAGS", "").split()
    kept = [word for word in told if word.partition("=")[0] != _OPS]
    os.environ["XLA_FLAGS"] = " ".join([*kept, f"{_OPS}=true"])
    jax.config.update("jax_default_prng_impl", "threefry2x32")
    jax.config.update("jax_threefry_partitionable", True)
