"""The arguments and sizes that all forms of the convolution share."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

# Zeros before and after the rows, and before and after the columns.
Pads = tuple[tuple[int, int], tuple[int, int]]


def out_sizes(
    images: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Pads
) -> tuple[int, int]:
    """Rows and columns of the output; 0 if the kernel is larger than padded images.

    Args:
      images: the shape (N, H, W, C).
      kernel: the shape (kernel height, kernel width, C, O).
    """
    rows, columns = (
        max(0, (images[i + 1] + sum(pads[i]) - kernel[i]) // strides[i] + 1)
        for i in (0, 1)
    )
    return rows, columns


def needs_no_patches(
    lhs: jax.Array, rhs: jax.Array, pads: Pads, preferred_element_type: Any
) -> bool:
    """Whether forms without patches are defined, and may be faster.

    Results have the images' dtype. A 1x1 kernel is a matrix product already. With as
    much padding as the kernel is wide, the input gradient would need negative padding.
    """
    sizes = rhs.shape[:2]
    within = all(max(pad) < size for pad, size in zip(pads, sizes, strict=True))
    return within and max(sizes) > 1 and preferred_element_type in (None, lhs.dtype)


def like_lax(form: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """A form with the arguments that ``flax.linen.Conv`` passes to a convolution.

    Args:
      form: ``(images, kernel, strides, pads, precision, preferred_element_type,
        **options) -> outputs``, of which none is empty. ``pads`` are `Pads`. Options
        are keyword arguments of the function that is returned.

    Returns:
      `jax.lax.conv_general_dilated` up to rounding, from images (N, H, W, C) and
      kernels (kernel height, kernel width, C, O) to (N, H', W', O). It raises what the
      primitive raises for padding that is wrong, a TypeError if images and kernel have
      different dtypes, and a ValueError for what is not supported: dilation, groups,
      negative padding, and other axes.
    """

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
        **options: Any,
    ) -> jax.Array:
        del dimension_numbers  # linen.Conv always passes NHWC, HWIO -> NHWC.
        _check(lhs, rhs, (lhs_dilation, rhs_dilation), feature_group_count)
        strides = tuple(window_strides)
        pads = _pads_of(lhs, rhs, strides, padding)
        shape = (
            lhs.shape[0],
            *out_sizes(lhs.shape, rhs.shape, strides, pads),
            rhs.shape[3],
        )
        if 0 in (*shape, *lhs.shape):  # empty outputs, or sums of nothing
            return jnp.zeros(shape, preferred_element_type or lhs.dtype)
        return form(
            lhs, rhs, strides, pads, precision, preferred_element_type, **options
        )

    return conv_general_dilated


def _check(lhs: jax.Array, rhs: jax.Array, dilations: tuple, groups: int) -> None:
    for dilation in dilations:
        if dilation is not None and any(d != 1 for d in dilation):
            raise ValueError("convolution: dilation is not supported")
    if groups != 1 or lhs.ndim != 4 or lhs.shape[3] != rhs.shape[2]:
        raise ValueError(
            "convolution: one group, two spatial axes, and the channels of the images "
            f"in the kernel; not {lhs.shape} and {rhs.shape}"
        )
    if lhs.dtype != rhs.dtype:
        raise TypeError(
            f"convolution: images are {lhs.dtype} and the kernel is {rhs.dtype}"
        )


def _pads_of(
    lhs: jax.Array,
    rhs: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
) -> Pads:
    if isinstance(padding, str):
        sizes = lhs.shape[1:3], rhs.shape[:2]
        padding = jax.lax.padtype_to_pads(*sizes, strides, padding)
    rows, columns = ((int(low), int(high)) for low, high in padding)
    if min(*rows, *columns) < 0:
        raise ValueError(f"convolution: negative padding is not supported: {padding}")
    return rows, columns
