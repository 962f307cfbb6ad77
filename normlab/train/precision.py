"""The precision in which a cell computes products."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Name -> (the dtype of layers, None for that of their inputs; how a backend may round
# the inputs of float32 products).
_PRECISIONS: dict[str, tuple[Any, str]] = {
    "float32": (None, "float32"),
    "tf32": (None, "tensorfloat32"),
    "bfloat16": (jnp.bfloat16, "float32"),
}


def layer_dtype(precision: str) -> Any:
    """The ``dtype`` of a model's layers; None means that of images and parameters."""
    return _PRECISIONS[precision][0]


def products_in(precision: str, function: Callable) -> Callable:
    """``function``, with its products traced under ``precision``.

    Without it a GPU rounds the inputs of float32 products to TF32's 10 bits. A CPU
    computes float32 products in full either way.
    """
    rounding = _PRECISIONS[precision][1]

    @functools.wraps(function)
    def traced(*args):
        with jax.default_matmul_precision(rounding):
            return function(*args)

    return traced
