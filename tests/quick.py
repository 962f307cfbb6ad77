"""`jax.jit` for a program that runs a few times, and so is not worth optimising."""

import functools
from typing import Any

import jax

# Without these, compiling takes a third of the time. Since jax 0.11, XLA has no others.
_EMITTERS = "xla_cpu_use_fusion_emitters"
_HAS_THEM = tuple(map(int, jax.__version__.split(".")[:2])) < (0, 11)
WITHOUT_EMITTERS: dict[str, Any] = {_EMITTERS: False} if _HAS_THEM else {}

quick = functools.partial(
    jax.jit,
    compiler_options={"xla_backend_optimization_level": 1, **WITHOUT_EMITTERS},
)
