"""A convolution whose gradients, too, are fast inside a loop on a CPU.

XLA's CPU backend has a fast convolution for NHWC images and HWIO kernels. It brings
other layouts into this form only outside of loops. Inside, the input gradient is 30
times slower and the kernel gradient 100 times (jax issue 12868). Here all three are
written as convolutions of NHWC images with HWIO kernels, so all three are fast. No
patch matrix is needed, which would be nine times the size of the images. Only a first
layer, whose images have few channels, is faster with one.

Kernels must not be mapped over members: that would be a slow grouped convolution.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from normlab.models import conv_patches
from normlab.models.conv_front import Pads, like_lax, needs_no_patches

_NUMBERS = ("NHWC", "HWIO", "NHWC")
# A kernel with fewer entries per output is left to patches.
_THIN = 100
# One turn of a kernel's gradient takes images with so many output pixels in all. Up to
# 64 channels, they and their gradients then fit in a core's cache (docs/speed.md).
_PIXELS = 2560


def _conv(x_NHWC: jax.Array, kernel_HWIO: jax.Array, pads: Pads, precision):
    return jax.lax.conv_general_dilated(
        x_NHWC, kernel_HWIO, (1, 1), pads, dimension_numbers=_NUMBERS,
        precision=precision,
    )  # fmt: skip


# Padding and precision are static; stride 1.
_direct = jax.custom_vjp(_conv, nondiff_argnums=(2, 3))


def _forward(x_NHWC, kernel_HWIO, pads, precision):
    return _conv(x_NHWC, kernel_HWIO, pads, precision), (x_NHWC, kernel_HWIO)


def _backward(pads, precision, residuals, g_NHWO):
    x_NHWC, kernel_HWIO = residuals
    sizes = kernel_HWIO.shape[:2]
    # Input: every pixel collects from its outputs, through the reversed kernel.
    rows, columns = (
        (size - 1 - low, size - 1 - high)
        for size, (low, high) in zip(sizes, pads, strict=True)
    )
    turned_HWOI = jnp.flip(kernel_HWIO, (0, 1)).transpose(0, 1, 3, 2)
    dx_NHWC = _conv(g_NHWO, turned_HWOI, (rows, columns), precision)
    return dx_NHWC, _kernel_gradient(x_NHWC, g_NHWO, kernel_HWIO, pads, precision)


def _kernel_gradient(x_NHWC, g_NHWO, kernel_HWIO, pads: Pads, precision) -> jax.Array:
    """The gradient for the kernel from that for the outputs, some images a turn."""

    def gradient_of(x_NHWC: jax.Array, g_NHWO: jax.Array) -> jax.Array:
        # Channels are the images, examples their channels, g is the kernel.
        x_CHWN, g_HWNO = x_NHWC.transpose(3, 1, 2, 0), g_NHWO.transpose(1, 2, 0, 3)
        return _conv(x_CHWN, g_HWNO, pads, precision).transpose(1, 2, 0, 3)

    # Without the barrier, XLA would make x a second time, and turned, which is slow.
    x_NHWC = jax.lax.optimization_barrier(x_NHWC)
    images, rows, columns, _ = g_NHWO.shape
    each = images_a_turn(images, rows * columns)
    if each == images:
        return gradient_of(x_NHWC, g_NHWO)

    def split(values: jax.Array) -> jax.Array:
        return values.reshape(-1, each, *values.shape[1:])

    dtype = jnp.promote_types(kernel_HWIO.dtype, jnp.float32)

    def add(total_HWIO, turn):
        return total_HWIO + gradient_of(*turn).astype(dtype), None

    start = jnp.zeros(kernel_HWIO.shape, dtype)
    total, _ = jax.lax.scan(add, start, (split(x_NHWC), split(g_NHWO)))
    return total.astype(kernel_HWIO.dtype)


def images_a_turn(images: int, pixels: int) -> int:
    """The number of images in a turn of a kernel's gradient.

    It is the largest even divisor of ``images`` that the cache allows. If there is
    none, one turn takes all images: the convolution is slow with an odd number.

    Args:
      pixels: those of an image's outputs.
    """
    most = min(images, max(2, _PIXELS // pixels))
    sizes = range(most - most % 2, 0, -2)
    return next((size for size in sizes if images % size == 0), images)


_direct.defvjp(_forward, _backward)


def _or_patches(
    lhs: jax.Array,
    rhs: jax.Array,
    strides: tuple[int, int],
    pads: Pads,
    precision: Any,
    preferred_element_type: Any,
    thin: int = _THIN,
) -> jax.Array:
    """The direct form where it is defined (stride 1) and faster, else patches.

    A kernel with fewer than ``thin`` entries per output is faster in patches.
    """
    if (
        strides == (1, 1)
        and needs_no_patches(lhs, rhs, pads, preferred_element_type)
        and math.prod(rhs.shape[:3]) >= thin
    ):
        return _direct(lhs, rhs, pads, precision)
    return conv_patches.some_at_once(
        lhs, rhs, strides, pads, precision, preferred_element_type
    )


# It supports reverse mode, and forward over reverse.
conv_general_dilated = like_lax(_or_patches)
