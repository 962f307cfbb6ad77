"""Two-by-two max pooling whose backward pass is elementwise.

``lax.reduce_window``'s gradient (select-and-scatter) is slow on CPUs and under
vmap. With non-overlapping windows the maximum and its gradient are a handful of
elementwise operations that XLA fuses with their neighbours.
"""

import jax
import jax.numpy as jnp


def _corners(x_NHWC: jax.Array) -> list[jax.Array]:
    """The four entries of every 2x2 window, in row-major order."""
    return [x_NHWC[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


@jax.custom_vjp
def _max_pool_even(x_NHWC: jax.Array) -> jax.Array:
    a, b, c, d = _corners(x_NHWC)
    return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))


def _forward(x_NHWC):
    y = _max_pool_even(x_NHWC)
    return y, (x_NHWC, y)


def _backward(residuals, g):
    """All of the gradient to the first maximum of a window, as in lax."""
    x, y = residuals
    n, h, w, c = x.shape
    taken = jnp.zeros(y.shape, bool)
    parts = []
    for corner in _corners(x):
        first = (corner == y) & ~taken
        taken = taken | first
        parts.append(jnp.where(first, g, 0))
    top = jnp.stack(parts[:2], axis=3)
    bottom = jnp.stack(parts[2:], axis=3)
    return (jnp.stack([top, bottom], axis=2).reshape(n, h, w, c),)


_max_pool_even.defvjp(_forward, _backward)


def max_pool_2x2(x_NHWC: jax.Array) -> jax.Array:
    """Max pooling, window 2x2, stride 2, SAME: (N, H, W, C) -> ceil halves.

    Of equal entries in a window the first takes the whole gradient, as in
    ``lax.reduce_window``. Reverse mode, and forward over reverse, are supported.
    """
    _, height, width, _ = x_NHWC.shape
    if height % 2 or width % 2:
        pads = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x_NHWC = jnp.pad(x_NHWC, pads, constant_values=-jnp.inf)
    return _max_pool_even(x_NHWC)
