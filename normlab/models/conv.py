"""A convolution as patches and one matrix product.

``lax.conv`` turns into a grouped convolution when kernels are vmapped over the
members of a sweep, and XLA's CPU backend runs it some forty times slower inside
a loop. A patch matrix times the kernel has neither fault: vmapped, it is a
batched matrix product. BUILD.md has the timings.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def _pads(
    size: int, kernel: int, stride: int, padding: str | tuple[int, int]
) -> tuple[int, int]:
    """Zeros before and after one spatial axis (TensorFlow's SAME and VALID)."""
    if padding == "VALID":
        return 0, 0
    if padding == "SAME":
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2
    low, high = padding
    return int(low), int(high)


def patches(
    x_NHWC: jax.Array,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    padding: Sequence,
) -> jax.Array:
    """Every window of a batch of images, flattened.

    Returns:
      Shape (N, H', W', kernel height x kernel width x C): window position is
      the slow index and channel the fast one, as in an HWIO kernel.
    """
    _, height, width, _ = x_NHWC.shape
    (kernel_h, kernel_w), (stride_h, stride_w) = kernel, strides
    pad_h = _pads(height, kernel_h, stride_h, padding[0])
    pad_w = _pads(width, kernel_w, stride_w, padding[1])
    x = jnp.pad(x_NHWC, ((0, 0), pad_h, pad_w, (0, 0)))
    out_h = (height + sum(pad_h) - kernel_h) // stride_h + 1
    out_w = (width + sum(pad_w) - kernel_w) // stride_w + 1
    rows = [slice(i, i + (out_h - 1) * stride_h + 1, stride_h) for i in range(kernel_h)]
    cols = [slice(j, j + (out_w - 1) * stride_w + 1, stride_w) for j in range(kernel_w)]
    return jnp.concatenate([x[:, i, j, :] for i in rows for j in cols], axis=-1)


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    precision=None,
    preferred_element_type=None,
) -> jax.Array:
    """`jax.lax.conv_general_dilated` for NHWC images and HWIO kernels.

    It takes the arguments ``flax.linen.Conv`` passes (as its
    ``conv_general_dilated``); equal to the primitive up to rounding.

    Args:
      lhs: images, shape (N, H, W, C).
      rhs: kernel, shape (kernel height, kernel width, C, O).

    Returns:
      Shape (N, H', W', O).

    Raises:
      ValueError: a dilated or grouped convolution, or one not over two axes.
    """
    del dimension_numbers  # linen.Conv always passes NHWC, HWIO -> NHWC.
    for dilation in (lhs_dilation, rhs_dilation):
        if dilation is not None and any(d != 1 for d in dilation):
            raise ValueError("patches convolution: dilation is not supported")
    if feature_group_count != 1 or lhs.ndim != 4:
        raise ValueError("patches convolution: one group, two spatial axes")
    kernel_h, kernel_w, _, features = rhs.shape
    pads = [padding, padding] if isinstance(padding, str) else list(padding)
    windows = patches(
        lhs, (kernel_h, kernel_w), (window_strides[0], window_strides[1]), pads
    )
    return jnp.dot(
        windows,
        rhs.reshape(-1, features),
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
