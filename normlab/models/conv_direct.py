"""A convolution whose gradients, too, are fast inside a loop on a CPU.

XLA's CPU backend has a fast convolution for NHWC images and HWIO kernels. It brings
other layouts into this form only outside of loops. Inside, the input gradient is 30
times slower and the kernel gradient 100 times (jax issue 12868). Here all three are
written as convolutions of NHWC images with HWIO kernels, so all three are fast. No
patch matrix is needed, which would be nine times the size of the images.

Kernels must not be mapped over members: that would be a slow grouped convolution.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from normlab.models import conv_patches
from normlab.models.conv_patches import resolve_pads

Pads = tuple[tuple[int, int], tuple[int, int]]
_NUMBERS = ("NHWC", "HWIO", "NHWC")


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
    # Kernel: channels are the images, examples their channels, g is the kernel.
    x_CHWN, g_HWNO = x_NHWC.transpose(3, 1, 2, 0), g_NHWO.transpose(1, 2, 0, 3)
    dk_IHWO = _conv(x_CHWN, g_HWNO, pads, precision)
    return dx_NHWC, dk_IHWO.transpose(1, 2, 0, 3)


_direct.defvjp(_forward, _backward)


def without_patches(
    lhs: jax.Array, rhs: jax.Array, strides: Sequence[int], padding, **_
) -> jax.Array:
    """The direct form of a convolution with stride 1, even if patches are faster."""
    return _direct(lhs, rhs, resolve_pads(lhs, rhs, strides, padding), None)


def _suits(
    _,
    rhs: jax.Array,
    strides: Sequence[int],
    pads: Pads,
    precision: Any,
    thin: int = conv_patches.THIN,
) -> bool:
    """Whether the direct form is defined, and is faster than patches.

    A 1x1 kernel is a matrix product already. A kernel with few entries per output is
    faster in patches of two outputs (`conv_patches`).
    """
    sizes = rhs.shape[:2]
    within = all(
        max(pad) < size for pad, size in zip(pads, sizes, strict=True)
    )  # otherwise the backward pass would need negative padding
    return (
        tuple(strides) == (1, 1)
        and within
        and max(sizes) > 1
        and not conv_patches.is_thin(rhs, thin)
    )


# Like `conv_patches.conv_general_dilated`, without patches. Where this form is not
# defined or not faster (strides, thin or 1x1 kernels), patches are used. Kernels with
# fewer than ``thin`` entries per output are thin. It supports reverse mode, and forward
# over reverse.
conv_general_dilated = conv_patches.or_patches(
    lambda lhs, rhs, _, pads, precision: _direct(lhs, rhs, pads, precision),
    _suits,
    conv_patches.in_parts,
)
