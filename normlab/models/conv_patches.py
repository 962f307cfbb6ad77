"""A convolution as patches and one matrix product.

If kernels are vmapped over the members of a sweep, ``lax.conv`` becomes a grouped
convolution, which XLA's CPU backend runs about forty times slower inside a loop. A
patch matrix times the kernel avoids both. When vmapped, it is a batched matrix product.
docs/speed.md has the timings.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from normlab.models.conv_front import Pads, like_lax, out_sizes
from normlab.models.parts import OF_PATCHES, parts_of

# A kernel with fewer entries per output is too thin for efficient matrix products. Two
# neighbouring outputs are then computed by one row of a wider matrix.
_THIN = 200
# Images have at most so many channels.
_COLOURS = 4


def is_thin(kernel_HWIO: jax.Array) -> bool:
    """Whether it is faster to compute two neighbouring outputs together."""
    height, width, channels, _ = kernel_HWIO.shape
    return width > 1 and height * width * channels < _THIN


def _row_windows(x_NHWC: jax.Array, width: int, step: int, count: int) -> jax.Array:
    """Windows of ``width`` pixels along each row, one every ``step`` pixels.

    Returns:
      (N, H, count, width x C). Copies run over ``step`` whole pixels, since x is
      viewed in blocks of ``step``; x must be at least as wide as the windows reach.
    """
    n, height, _, channels = x_NHWC.shape
    blocks = count - 1 + -(-width // step)
    missing = blocks * step - x_NHWC.shape[2]
    # A window may end within its last block. The rest of that block is not read.
    x = jnp.pad(x_NHWC, ((0, 0), (0, 0), (0, max(missing, 0)), (0, 0)))
    x = x[:, :, : blocks * step].reshape(n, height, blocks, step * channels)
    parts = [
        x[:, :, k : k + count, : (width - k * step) * channels]
        for k in range(-(-width // step))
    ]
    return jnp.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def _windows(
    x_NHWC: jax.Array,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    out: tuple[int, int],
) -> jax.Array:
    """Every window of padded images, flattened: (N, *out, height x width x C)."""
    (kernel_h, kernel_w), (stride_h, stride_w), (out_h, out_w) = kernel, strides, out
    rows = _row_windows(x_NHWC, kernel_w, stride_w, out_w)
    last = (out_h - 1) * stride_h + 1
    parts = [rows[:, i : i + last : stride_h] for i in range(kernel_h)]
    return jnp.concatenate(parts, axis=-1) if kernel_h > 1 else parts[0]


def _widen(kernel_HWIO: jax.Array, stride: int) -> jax.Array:
    """The kernel for two neighbouring outputs at once: (H, W + stride, I, 2, O)."""

    def at(left: int) -> jax.Array:
        pads = ((0, 0), (left, stride - left), (0, 0), (0, 0))
        return jnp.pad(kernel_HWIO, pads)

    return jnp.stack([at(0), at(stride)], axis=3)


def all_at_once(
    lhs: jax.Array,
    rhs: jax.Array,
    strides: Sequence[int],
    pads: Pads,
    precision: Any,
    preferred_element_type: Any,
    pairs: Callable[[jax.Array], bool] = is_thin,
) -> jax.Array:
    """The form with patches; see `normlab.models.conv_front.like_lax`.

    Args:
      pairs: whether two neighbouring outputs are to be computed by one row, a function
        of the kernel.

    Returns:
      Shape (N, H', W', O).
    """
    kernel_h, kernel_w, _, features = rhs.shape
    stride_h, stride_w = strides
    out_h, out_w = out_sizes(lhs.shape, rhs.shape, strides, pads)
    x = jnp.pad(lhs, ((0, 0), *pads, (0, 0)))
    if pairs(rhs) and out_w % 2 == 0:
        kernel = (kernel_h, kernel_w + stride_w)
        windows = _windows(x, kernel, (stride_h, 2 * stride_w), (out_h, out_w // 2))
        matrix = _widen(rhs, stride_w).reshape(-1, 2 * features)
    else:
        kernel, strides = (kernel_h, kernel_w), (stride_h, stride_w)
        windows = _windows(x, kernel, strides, (out_h, out_w))
        matrix = rhs.reshape(-1, features)
    # Two axes instead of four, so that the kernel's gradient is a product without a
    # copy.
    y = jnp.dot(
        windows.reshape(-1, matrix.shape[0]),
        matrix,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    return y.reshape(-1, out_h, out_w, features)


def some_at_once(lhs: jax.Array, rhs: jax.Array, *args: Any) -> jax.Array:
    """`all_at_once` for loops on a CPU, of some images after others.

    The patches of these stay in the cache. The backward pass makes them again.

    Args:
      lhs: images, shape (N, H, W, C). If N is small or has no suitable divisor, all are
        taken at once.
      rhs: kernel, shape (kernel height, kernel width, C, O).
      args: the other arguments of `all_at_once`.

    Returns:
      Shape (N, H', W', O).
    """

    def of_some(x_NHWC: jax.Array) -> jax.Array:
        return all_at_once(x_NHWC, rhs, *args)

    parts = parts_of(lhs.shape[0], OF_PATCHES)
    if parts == 1:
        return of_some(lhs)
    x = lhs.reshape(parts, -1, *lhs.shape[1:])
    y = jax.lax.map(jax.checkpoint(of_some), x)
    return y.reshape(-1, *y.shape[2:])


def of_shared_images(*args: Any) -> jax.Array:
    """`all_at_once` for a GPU, where members of a seed share their images.

    The first layer has no pairs of outputs. They would stand between the members and
    the channels, and would have to be moved from there in a pass over the memory.

    Args:
      args: the arguments of `all_at_once` but ``pairs``.

    Returns:
      Shape (N, H', W', O).
    """
    y = all_at_once(*args, pairs=_has_many_channels)
    # Otherwise XLA lets the product add the biases, from a copy for every output.
    return jax.lax.optimization_barrier(y)


def _has_many_channels(kernel_HWIO: jax.Array) -> bool:
    return kernel_HWIO.shape[2] > _COLOURS and is_thin(kernel_HWIO)


conv_general_dilated = like_lax(all_at_once)
