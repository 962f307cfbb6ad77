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


@jax.custom_jvp
def _maximum(x_NHWC: jax.Array) -> jax.Array:
    a, b, c, d = _corners(x_NHWC)
    return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))


@_maximum.defjvp
def _tangent(primals, tangents):
    """Averages over equal maxima, as the backward pass does."""
    (x,), (t,) = primals, tangents
    y = _maximum(x)
    pairs = zip(_corners(x), _corners(t), strict=True)
    return y, sum(jnp.where(corner == y, v, 0) for corner, v in pairs) / _ties(x, y)


def _ties(x_NHWC: jax.Array, y: jax.Array) -> jax.Array:
    """How many entries of each window equal its maximum, as floats."""
    equal = [(corner == y).astype(y.dtype) for corner in _corners(x_NHWC)]
    return sum(equal[1:], equal[0])


_max_pool_even = jax.custom_vjp(_maximum)


def _forward(x_NHWC):
    y = _maximum(x_NHWC)  # not the custom_vjp: that one has no forward mode
    return y, (x_NHWC, y, _ties(x_NHWC, y))


def _backward(residuals, g):
    """A window's gradient goes to its maximum; equal maxima share it, as in jnp.max."""
    x, y, ties = residuals
    n, h, w, c = y.shape

    def spread(values):
        wide = jnp.broadcast_to(values[:, :, None, :, None, :], (n, h, 2, w, 2, c))
        return wide.reshape(x.shape)

    # One fused loop over x: four strided writes would pass over the memory four times.
    return (jnp.where(x == spread(y), spread(g / ties), 0),)


_max_pool_even.defvjp(_forward, _backward)


def max_pool_2x2(x_NHWC: jax.Array) -> jax.Array:
    """Max pooling, window 2x2, stride 2, SAME: (N, H, W, C) -> ceil halves.

    Equal maxima in a window share its gradient, as in ``jnp.max``. (In
    ``lax.reduce_window`` the first one gets all of it.) It supports reverse mode, and
    forward over reverse.
    """
    _, height, width, _ = x_NHWC.shape
    if height % 2 or width % 2:
        pads = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x_NHWC = jnp.pad(x_NHWC, pads, constant_values=-jnp.inf)
    return _max_pool_even(x_NHWC)
