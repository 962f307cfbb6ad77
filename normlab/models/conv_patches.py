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

from normlab.models.parts import LEAST_OF_PATCHES, parts_of


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


def resolve_pads(
    lhs: jax.Array,
    rhs: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Zeros before and after the rows and the columns of images ``lhs``."""
    named = [padding, padding] if isinstance(padding, str) else list(padding)
    height, width = (
        _pads(lhs.shape[i + 1], rhs.shape[i], strides[i], named[i]) for i in (0, 1)
    )
    return height, width


def check(
    lhs: jax.Array, rhs: jax.Array, lhs_dilation, rhs_dilation, groups: int
) -> None:
    """Checks that a convolution is supported here.

    Raises:
      ValueError: it is dilated or grouped, or not over two axes.
      TypeError: images and kernel have different dtypes, as for the primitive.
    """
    for dilation in (lhs_dilation, rhs_dilation):
        if dilation is not None and any(d != 1 for d in dilation):
            raise ValueError("convolution: dilation is not supported")
    if groups != 1 or lhs.ndim != 4:
        raise ValueError("convolution: one group, two spatial axes")
    if lhs.dtype != rhs.dtype:
        raise TypeError(
            f"convolution: images are {lhs.dtype} and the kernel is {rhs.dtype}"
        )


# A kernel with fewer entries per output is too thin for efficient matrix products. Two
# neighbouring outputs are then computed by one row of a wider matrix.
THIN = 200
# Images have at most so many channels.
_COLOURS = 4


def is_thin(kernel_HWIO: jax.Array, entries: int = THIN) -> bool:
    """Whether it is faster to compute two neighbouring outputs together."""
    height, width, channels, _ = kernel_HWIO.shape
    return width > 1 and height * width * channels < entries


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
    pairs: Callable[[jax.Array], bool] = is_thin,
) -> jax.Array:
    """`jax.lax.conv_general_dilated` for NHWC images and HWIO kernels.

    It takes the arguments that ``flax.linen.Conv`` passes to its
    ``conv_general_dilated``, and equals the primitive up to rounding.

    Args:
      lhs: images, shape (N, H, W, C).
      rhs: kernel, shape (kernel height, kernel width, C, O).
      pairs: whether two neighbouring outputs are to be computed by one row.

    Returns:
      Shape (N, H', W', O).

    Raises:
      ValueError, TypeError: see `check`.
    """
    del dimension_numbers  # linen.Conv always passes NHWC, HWIO -> NHWC.
    check(lhs, rhs, lhs_dilation, rhs_dilation, feature_group_count)
    n, height, width, _ = lhs.shape
    kernel_h, kernel_w, _, features = rhs.shape
    stride_h, stride_w = window_strides
    pad_h, pad_w = resolve_pads(lhs, rhs, window_strides, padding)
    out_h = (height + sum(pad_h) - kernel_h) // stride_h + 1
    out_w = (width + sum(pad_w) - kernel_w) // stride_w + 1
    x = jnp.pad(lhs, ((0, 0), pad_h, pad_w, (0, 0)))
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
    return y.reshape(n, out_h, out_w, features)


def in_parts(lhs: jax.Array, rhs: jax.Array, *args: Any, **options: Any) -> jax.Array:
    """`conv_general_dilated` for loops, on a CPU of some images after others.

    The patches of these stay in the cache. The backward pass makes them again.
    """

    def of_part(x_NHWC: jax.Array) -> jax.Array:
        return conv_general_dilated(x_NHWC, rhs, *args, **options)

    parts = parts_of(lhs.shape[0], LEAST_OF_PATCHES)
    if parts == 1:
        return of_part(lhs)
    x = lhs.reshape(parts, -1, *lhs.shape[1:])
    y = jax.lax.map(jax.checkpoint(of_part), x)
    return y.reshape(-1, *y.shape[2:])


def of_shared_images(*args: Any, **options: Any) -> jax.Array:
    """`conv_general_dilated` for a GPU, where members of a seed share their images.

    The first layer has no pairs of outputs. They would stand between the members and
    the channels, and would have to be moved from there in a pass over the memory.
    """
    y = conv_general_dilated(*args, pairs=_has_many_channels, **options)
    # Otherwise XLA lets the product add the biases, from a copy for every output.
    return jax.lax.optimization_barrier(y)


def _has_many_channels(kernel_HWIO: jax.Array) -> bool:
    return kernel_HWIO.shape[2] > _COLOURS and is_thin(kernel_HWIO)


def or_patches(
    form: Callable[..., jax.Array],
    suits: Callable[..., bool],
    patches: Callable[..., jax.Array] = conv_general_dilated,
) -> Callable[..., jax.Array]:
    """A `conv_general_dilated` by another form, and by patches where it does not suit.

    Args:
      form: ``(images, kernel, strides, pads, precision)``, for results of the images'
        dtype.
      suits: ``(images, kernel, strides, pads, precision, **options) -> bool``. Options
        are keyword arguments of the function that is returned.
      patches: the form with patches.
    """

    def either(
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
        **options: Any,
    ) -> jax.Array:
        check(lhs, rhs, lhs_dilation, rhs_dilation, feature_group_count)
        pads = resolve_pads(lhs, rhs, window_strides, padding)
        same = preferred_element_type in (None, lhs.dtype)
        if same and suits(lhs, rhs, window_strides, pads, precision, **options):
            return form(lhs, rhs, window_strides, pads, precision)
        return patches(
            lhs,
            rhs,
            window_strides,
            pads,
            precision=precision,
            preferred_element_type=preferred_element_type,
        )

    return either
