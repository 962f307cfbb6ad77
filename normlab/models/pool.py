"""Two-by-two max pooling and a ReLU, whose backward pass is elementwise.

``lax.reduce_window``'s gradient (select-and-scatter) is slow on CPUs and under
vmap. With non-overlapping windows the maximum and its gradient are a handful of
elementwise operations that XLA fuses with their neighbours. A ReLU is one more maximum,
with zero.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.models import backend


def _corners(x_NHWC: jax.Array) -> list[jax.Array]:
    """The four entries of every 2x2 window, in row-major order."""
    return [x_NHWC[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


@jax.custom_jvp
def _maximum(x_NHWC: jax.Array) -> jax.Array:
    a, b, c, d = _corners(x_NHWC)
    return jnp.maximum(jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d)), 0)


@_maximum.defjvp
def _tangent(primals, tangents):
    """Averages over equal maxima, as the backward pass does."""
    (x,), (t,) = primals, tangents
    y = _maximum(x)
    pairs = zip(_corners(x), _corners(t), strict=True)
    total: Any = sum(jnp.where(corner == y, v, 0) for corner, v in pairs)
    return y, _shared(total, _maxima(x, y))


def _maxima(x_NHWC: jax.Array, y: jax.Array) -> jax.Array:
    """Which entries of each window equal its result, as the lowest bits of a uint8.

    None if the result is the ReLU's zero, whose derivative is 0. The other bits are
    their number.
    """
    equal = [((y > 0) & (corner == y)).astype(jnp.uint8) for corner in _corners(x_NHWC)]
    count = sum(equal[1:], equal[0])
    return sum((e << bit for bit, e in enumerate(equal)), count << 4)


def _shared(g: jax.Array, maxima: jax.Array) -> jax.Array:
    """``g``, divided by the number of entries of the window that equal its result."""
    return g / jnp.maximum(maxima >> 4, 1).astype(g.dtype)


def _spread(values: jax.Array) -> jax.Array:
    """Every value at the four places of its window."""
    n, h, w, c = values.shape
    wide = jnp.broadcast_to(values[:, :, None, :, None, :], (n, h, 2, w, 2, c))
    return wide.reshape(n, 2 * h, 2 * w, c)


# A window's gradient goes to its maximum; equal maxima share it, as in jnp.max. Each
# backward pass is one fused loop: four strided writes would pass over the memory four
# times. Primals are `_maximum`, because a custom_vjp has no forward mode.


def _keep_bytes(x_NHWC):
    # A byte for each window is all that the backward pass reads. Without the barrier,
    # XLA would compute it there, from x.
    y = _maximum(x_NHWC)
    return jax.lax.optimization_barrier((y, _maxima(x_NHWC, y)))


def _from_bytes(maxima, g):
    _, h, w, _ = g.shape
    # A constant of the program: else a step on a GPU makes it each time.
    bits = np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 1, 2, 1)
    own = jnp.broadcast_to(bits, (1, h, 2, w, 2, 1)).reshape(1, 2 * h, 2 * w, 1)
    is_maximum = (_spread(maxima) >> own & 1) > 0
    return (jnp.where(is_maximum, _spread(_shared(g, maxima)), 0),)


def _keep_inputs(x_NHWC):
    y = _maximum(x_NHWC)
    return y, (x_NHWC, y)


def _from_inputs(saved, g):
    x_NHWC, y = saved
    equal = [(corner == y).astype(g.dtype) for corner in _corners(x_NHWC)]
    share = g / jnp.maximum(sum(equal[1:], equal[0]), 1)
    share = jnp.where(y > 0, share, 0)
    return (jnp.where(x_NHWC == _spread(y), _spread(share), 0),)


# The memory limits a GPU. A CPU compares floats faster than it takes bytes apart.
_on_gpu, _on_cpu = jax.custom_vjp(_maximum), jax.custom_vjp(_maximum)
_on_gpu.defvjp(_keep_bytes, _from_bytes)
_on_cpu.defvjp(_keep_inputs, _from_inputs)


def max_pool_relu(x_NHWC: jax.Array) -> jax.Array:
    """ReLU of max pooling, window 2x2, stride 2, SAME: (N, H, W, C) -> ceil halves.

    This equals max pooling of the ReLU, which is monotone. Equal maxima in a window
    share its gradient, as in ``jnp.max``. (In ``lax.reduce_window`` the first one gets
    all of it.) It supports reverse mode, and forward over reverse.
    """
    _, height, width, _ = x_NHWC.shape
    if height % 2 or width % 2:
        pads = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x_NHWC = jnp.pad(x_NHWC, pads, constant_values=-jnp.inf)
    return _on_cpu(x_NHWC) if backend.is_cpu() else _on_gpu(x_NHWC)
