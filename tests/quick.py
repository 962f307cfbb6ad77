"""`jax.jit` for a program that runs a few times, and so is not worth optimising."""

import functools

import jax

quick = functools.partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 1,
        "xla_cpu_use_fusion_emitters": False,  # a third of the time
    },
)
