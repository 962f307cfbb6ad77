"""The learned scale and bias of the Linen norms, and the dtype of their output."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from flax.linen.dtypes import canonicalize_dtype
from jax import Array

from normlab.norms.inits import as_scale


def affine(layer: Any, shape: tuple[int, ...]) -> tuple[Array | None, Array | None]:
    """``(scale, bias)`` of ``shape``; None for one that ``layer`` does not use.

    Called in the layer's compact method. Scale comes first, as in flax.linen, whose
    random initialisers then draw the same values.
    """
    scale = bias = None
    bias_init = layer.bias_init
    if layer.use_scale:
        scale = layer.param("scale", layer.scale_init, shape, layer.param_dtype)
        if bias_init is as_scale:
            bias_init = partial(_value, scale)
    if layer.use_bias:
        bias = layer.param("bias", bias_init, shape, layer.param_dtype)
    return scale, bias


def _value(value: Array, *key_shape_dtype: Any) -> Array:
    return value


def compute_input(x: Any, dtype: Any) -> Array:
    """``x`` in at least the precision of ``dtype``."""
    x = jnp.asarray(x)
    return x if dtype is None else x.astype(jnp.promote_types(x.dtype, dtype))


def output_dtype(dtype: Any, x: Any, *params: Array | None) -> Any:
    """``dtype``; if it is None, the floating type that x and params promote to."""
    return canonicalize_dtype(x, *(p for p in params if p is not None), dtype=dtype)
