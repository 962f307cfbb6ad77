"""A convolution as an implicit product: a GPU kernel that never writes patches.

Each block of output pixels gathers its inputs tap by tap and multiplies them with the
kernel of that tap, so the patches exist only in registers. Both gradients are of the
same kind. Under vmap, members become an axis of the grid.

It is written in Pallas, for Triton. On a CPU it is interpreted, which is slow and only
for tests. It supports reverse mode once. Second derivatives need another form.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from normlab.models import conv_patches

Pads = tuple[tuple[int, int], tuple[int, int]]
# Pixels, input channels and output channels of one product. Triton needs powers of 2,
# and at least 16 for its products.
_PIXELS, _INPUTS, _OUTPUTS = 64, 32, 64
_LEAST = 16
# The pixels of a kernel gradient are summed in so many parts, and then over the parts.
_PARTS = 8
_DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)


class _Sizes(NamedTuple):
    """Static sizes: images and channels, the kernel, zeros before, and outputs."""

    n: int
    height: int
    width: int
    inputs: int
    kernel: tuple[int, int]
    before: tuple[int, int]
    out: tuple[int, int]
    outputs: int

    @property
    def pixels(self) -> int:
        return self.n * self.out[0] * self.out[1]


def _sizes(
    x_NHWC: jax.Array, kernel: tuple[int, int], pads: Pads, outputs: int
) -> _Sizes:
    n, height, width, inputs = x_NHWC.shape
    (top, bottom), (left, right) = pads
    out = height + top + bottom - kernel[0] + 1, width + left + right - kernel[1] + 1
    return _Sizes(n, height, width, inputs, kernel, (top, left), out, outputs)


def _gathered(x_ref, first, tap, channels, s: _Sizes) -> jax.Array:
    """(pixels, channels): what outputs from ``first`` on see through one tap."""
    pixel = first + jnp.arange(_PIXELS)
    image, place = pixel // (s.out[0] * s.out[1]), pixel % (s.out[0] * s.out[1])
    row = place // s.out[1] + tap // s.kernel[1] - s.before[0]
    column = place % s.out[1] + tap % s.kernel[1] - s.before[1]
    inside = (row >= 0) & (row < s.height) & (column >= 0) & (column < s.width)
    inside &= pixel < s.pixels
    source = jnp.where(inside, (image * s.height + row) * s.width + column, 0)
    mask = jnp.broadcast_to(inside[:, None], (_PIXELS, channels.size))
    return triton.load(x_ref.at[source[:, None], channels[None, :]], mask=mask, other=0)


def _forward_kernel(x_ref, w_ref, y_ref, *, s: _Sizes, block: int, outputs: int):
    first, out = pl.program_id(0) * _PIXELS, pl.program_id(1) * outputs
    features = out + jnp.arange(outputs)
    blocks = s.inputs // block

    def add(turn, total):
        tap = turn // blocks
        channels = turn % blocks * block + jnp.arange(block)
        x = _gathered(x_ref, first, tap, channels, s)
        w = triton.load(w_ref.at[tap, channels[:, None], features[None, :]])
        return total + jnp.dot(x, w, preferred_element_type=jnp.float32)

    turns = s.kernel[0] * s.kernel[1] * blocks
    total = jnp.zeros((_PIXELS, outputs), jnp.float32)
    y_ref[...] = jax.lax.fori_loop(0, turns, add, total).astype(y_ref.dtype)


def _gradient_kernel(x_ref, g_ref, d_ref, *, s: _Sizes, block: int, outputs: int):
    blocks = s.inputs // block
    tap = pl.program_id(0) // blocks
    channels = pl.program_id(0) % blocks * block + jnp.arange(block)
    features = pl.program_id(1) * outputs + jnp.arange(outputs)
    each = pl.cdiv(pl.cdiv(s.pixels, _PIXELS), _PARTS)
    start = pl.program_id(2) * each

    def add(turn, total):
        first = (start + turn) * _PIXELS
        x = _gathered(x_ref, first, tap, channels, s)
        pixel = first + jnp.arange(_PIXELS)
        seen = pixel < s.pixels
        mask = jnp.broadcast_to(seen[:, None], (_PIXELS, outputs))
        pixel = jnp.where(seen, pixel, 0)
        g = triton.load(g_ref.at[pixel[:, None], features[None, :]], mask=mask, other=0)
        return total + jnp.dot(x.T, g, preferred_element_type=jnp.float32)

    total = jnp.zeros((block, outputs), jnp.float32)
    d_ref[...] = jax.lax.fori_loop(0, each, add, total)


def _call(kernel: Any, out: jax.ShapeDtypeStruct, grid, out_specs, *args) -> jax.Array:
    on_cpu = jax.default_backend() == "cpu"
    return pl.pallas_call(
        kernel, out, grid=grid, out_specs=out_specs, interpret=on_cpu
    )(*args)


def _forward(x_NHWC: jax.Array, kernel_HWIO: jax.Array, pads: Pads) -> jax.Array:
    height, width, inputs, outputs = kernel_HWIO.shape
    s = _sizes(x_NHWC, (height, width), pads, outputs)
    block, features = min(inputs, _INPUTS), min(outputs, _OUTPUTS)
    rows = pl.cdiv(s.pixels, _PIXELS)
    y = _call(
        functools.partial(_forward_kernel, s=s, block=block, outputs=features),
        jax.ShapeDtypeStruct((rows * _PIXELS, outputs), x_NHWC.dtype),
        (rows, outputs // features),
        pl.BlockSpec((_PIXELS, features), lambda i, j: (i, j)),
        x_NHWC.reshape(-1, inputs),
        kernel_HWIO.reshape(-1, inputs, outputs),
    )
    return y[: s.pixels].reshape(s.n, *s.out, outputs)


def _kernel_gradient(x_NHWC, g_NHWO, kernel: tuple[int, int], pads: Pads) -> jax.Array:
    inputs, outputs = x_NHWC.shape[-1], g_NHWO.shape[-1]
    s = _sizes(x_NHWC, kernel, pads, outputs)
    block, features = min(inputs, _INPUTS), min(outputs, _OUTPUTS)
    blocks, taps = inputs // block, kernel[0] * kernel[1]
    parts = _call(
        functools.partial(_gradient_kernel, s=s, block=block, outputs=features),
        jax.ShapeDtypeStruct((_PARTS, taps, inputs, outputs), jnp.float32),
        (taps * blocks, outputs // features, _PARTS),
        pl.BlockSpec(
            (None, None, block, features),
            lambda i, j, k: (k, i // blocks, i % blocks, j),
        ),
        x_NHWC.reshape(-1, inputs),
        g_NHWO.reshape(-1, outputs),
    )
    return parts.sum(0).reshape(*kernel, inputs, outputs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x_NHWC, kernel_HWIO, pads: Pads):
    return _forward(x_NHWC, kernel_HWIO, pads)


def _saved(x_NHWC, kernel_HWIO, pads: Pads):
    return _forward(x_NHWC, kernel_HWIO, pads), (x_NHWC, kernel_HWIO)


def _backward(pads: Pads, saved, g_NHWO):
    x_NHWC, kernel_HWIO = saved
    sizes = kernel_HWIO.shape[:2]
    # Every pixel collects from its outputs, through the reversed kernel.
    rows, columns = (
        (size - 1 - low, size - 1 - high)
        for size, (low, high) in zip(sizes, pads, strict=True)
    )
    turned_HWOI = jnp.flip(kernel_HWIO, (0, 1)).transpose(0, 1, 3, 2)
    dx_NHWC = _forward(g_NHWO, turned_HWOI, (rows, columns))
    dk_HWIO = _kernel_gradient(x_NHWC, g_NHWO, sizes, pads)
    return dx_NHWC, dk_HWIO.astype(kernel_HWIO.dtype)


_conv.defvjp(_saved, _backward)


def _suits(
    lhs: jax.Array, rhs: jax.Array, strides: Sequence[int], pads: Pads, precision: Any
) -> bool:
    """Whether the kernel is defined: stride 1, and channels that are powers of 2.

    It sums in float32, which is too little for float64.
    """
    sizes, channels = rhs.shape[:2], rhs.shape[2:]
    within = all(max(pad) < size for pad, size in zip(pads, sizes, strict=True))
    powers = all(c >= _LEAST and c & (c - 1) == 0 for c in channels)
    plain = precision is None and lhs.dtype in _DTYPES
    return plain and tuple(strides) == (1, 1) and within and powers and max(sizes) > 1


# Like `conv_patches.conv_general_dilated`, by a GPU kernel. Where the kernel is not
# defined (strides, 1x1 kernels, channels that are no power of 2 or below 16, float64, a
# precision), patches are used.
conv_general_dilated = conv_patches.or_patches(
    lambda lhs, rhs, pads, _: _conv(lhs, rhs, pads), _suits
)
