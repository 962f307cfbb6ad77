"""A convolution as an implicit product: a GPU kernel that never writes patches.

Each block of output pixels gathers its inputs tap by tap and multiplies them with the
kernel of that tap, so the patches exist only in registers. Both gradients are of the
same kind. Under vmap, members become an axis of the grid.

It is written in Pallas, for Triton. On a CPU it is interpreted, which is slow and only
for tests. It supports reverse mode once. Second derivatives need another form.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from normlab.models import backend, conv_patches
from normlab.models.conv_front import Pads, like_lax, needs_no_patches, out_sizes
from normlab.models.conv_tile import LEAST, Sizes, Tile

_DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)
# The fastest of eighteen for the forward pass, and of thirty for the gradient, on an
# H100 and the layers of small_cnn and ResNet-20 (docs/speed.md). Products in float32
# are not made by the matrix units, so more pixels share what a program has loaded.
_FORWARD = Tile(64, 32, 64, 3)
_FORWARD_FLOAT32 = Tile(128, 32, 64, 3)
_GRADIENT = Tile(32, 32, 64, 3)
_WARPS = 2
# A program for kernel gradients sums over so many blocks of pixels, and keeps at most
# so many sums. The results of programs are then added.
_BLOCKS, _SUMS = 16, 4608


def _split(number: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """``number // size`` and ``number % size``, for numbers that are not negative.

    The operators would also treat negative ones, in every block.
    """
    divisor = jnp.full_like(number, size)
    return jax.lax.div(number, divisor), jax.lax.rem(number, divisor)


def _entries(turn: Any, s: Sizes, t: Tile) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(entries, their tap or taps, their channels) of the product number ``turn``."""
    inside = jnp.arange(t.entries)
    turn = jnp.asarray(turn, jnp.int32)
    if s.inputs >= LEAST:  # all of one tap
        tap, part = _split(turn, s.inputs // t.entries)
        channels = part * t.entries + inside
        return tap * s.inputs + channels, tap, channels
    entries = turn * t.entries + inside
    return entries, *_split(entries, s.inputs)


def _gathered(x_ref, first, turn, s: Sizes, t: Tile) -> jax.Array:
    """(pixels, entries): what the outputs from ``first`` on see."""
    entries, tap, channels = _entries(turn, s, t)
    pixel = first + jnp.arange(t.pixels)
    image, place = _split(pixel, s.out[0] * s.out[1])
    inside = jnp.broadcast_to((pixel < s.pixels)[:, None], (t.pixels, entries.size))
    if s.inputs < LEAST:
        inside &= (entries < s.entries)[None, :]
    source = image[:, None]
    shifts = _split(tap[None, :] if tap.ndim else tap, s.kernel[1])
    for axis, (outward, shift) in enumerate(
        zip(_split(place, s.out[1]), shifts, strict=True)
    ):
        size = (s.height, s.width)[axis]
        at = outward[:, None] * s.stride[axis] + shift - s.before[axis]
        inside &= at >= 0
        if s.dilation[axis] > 1:
            at, between = _split(at, s.dilation[axis])
            inside &= between == 0
        inside &= at < size
        source = source * size + at
    return triton.load(
        x_ref.at[jnp.where(inside, source, 0), channels[None, :]], mask=inside, other=0
    )


def _forward_kernel(x_ref, w_ref, y_ref, *, s: Sizes, t: Tile):
    first, out = pl.program_id(0) * t.pixels, pl.program_id(1) * t.outputs
    features = out + jnp.arange(t.outputs)

    def add(turn, total):
        x = _gathered(x_ref, first, turn, s, t)
        entries, *_ = _entries(turn, s, t)
        real = jnp.broadcast_to((entries < s.entries)[:, None], (t.entries, t.outputs))
        at = w_ref.at[entries[:, None], features[None, :]]
        w = triton.load(at, mask=real, other=0)
        return total + jnp.dot(x, w, preferred_element_type=jnp.float32)

    total = jnp.zeros((t.pixels, t.outputs), jnp.float32)
    total = jax.lax.fori_loop(0, pl.cdiv(s.entries, t.entries), add, total)
    y_ref[...] = total.astype(y_ref.dtype)


def _gradient_kernel(x_ref, g_ref, d_ref, *, s: Sizes, t: Tile):
    together = d_ref.shape[0]
    turns = [pl.program_id(0) * together + i for i in range(together)]
    features = pl.program_id(1) * t.outputs + jnp.arange(t.outputs)
    start = pl.program_id(2) * _BLOCKS

    def add(block, totals):
        first = (start + block) * t.pixels
        pixel = first + jnp.arange(t.pixels)
        seen = pixel < s.pixels
        mask = jnp.broadcast_to(seen[:, None], (t.pixels, t.outputs))
        pixel = jnp.where(seen, pixel, 0)
        g = triton.load(g_ref.at[pixel[:, None], features[None, :]], mask=mask, other=0)

        # g is turned once for all entries. Turning every x instead is slower.
        def product(turn):
            x = _gathered(x_ref, first, turn, s, t)
            return jnp.dot(g.T, x, preferred_element_type=jnp.float32)

        return [
            total + product(turn) for total, turn in zip(totals, turns, strict=True)
        ]

    zero = jnp.zeros((t.outputs, t.entries), jnp.float32)
    totals = jax.lax.fori_loop(0, _BLOCKS, add, [zero] * together)
    for i, total in enumerate(totals):
        d_ref[i] = total


def _call(kernel: Any, s: Sizes, t: Tile, out, grid, out_specs, *args) -> jax.Array:
    on_cpu = backend.is_cpu()
    parameters = triton.CompilerParams(num_warps=_WARPS, num_stages=t.stages)
    return pl.pallas_call(
        functools.partial(kernel, s=s, t=t),
        out,
        grid=grid,
        out_specs=out_specs,
        interpret=on_cpu,
        compiler_params=None if on_cpu else parameters,
    )(*args)


def _is_full(x: jax.Array) -> bool:
    """Whether products of ``x`` are computed in float32, without rounding it."""
    config: Any = jax.config
    asked = config.jax_default_matmul_precision
    return x.dtype == jnp.float32 and asked in ("float32", "highest")


def _forward(x_NHWC: jax.Array, w_HWIO: jax.Array, s: Sizes) -> jax.Array:
    t = s.tile(_FORWARD_FLOAT32 if _is_full(x_NHWC) else _FORWARD)
    rows = pl.cdiv(s.pixels, t.pixels)
    y = _call(
        _forward_kernel,
        s,
        t,
        jax.ShapeDtypeStruct((rows * t.pixels, s.outputs), x_NHWC.dtype),
        (rows, s.outputs // t.outputs),
        pl.BlockSpec((t.pixels, t.outputs), lambda i, j: (i, j)),
        x_NHWC.reshape(-1, s.inputs),
        w_HWIO.reshape(-1, s.outputs),
    )
    return y[: s.pixels].reshape(s.n, *s.out, s.outputs)


def _kernel_gradient(x_NHWC: jax.Array, g_NHWO: jax.Array, s: Sizes) -> jax.Array:
    t = s.tile(_GRADIENT)
    turns = pl.cdiv(s.entries, t.entries)
    together = min(turns, max(1, _SUMS // (t.entries * t.outputs)))
    groups, parts = pl.cdiv(turns, together), pl.cdiv(s.pixels, t.pixels * _BLOCKS)
    sums = _call(
        _gradient_kernel,
        s,
        t,
        jax.ShapeDtypeStruct(
            (parts, groups * together, s.outputs, t.entries), jnp.float32
        ),
        (groups, s.outputs // t.outputs, parts),
        pl.BlockSpec(
            (None, together, t.outputs, t.entries), lambda i, j, k: (k, i, j, 0)
        ),
        x_NHWC.reshape(-1, s.inputs),
        g_NHWO.reshape(-1, s.outputs),
    )
    sums_EO = sums.sum(0).swapaxes(1, 2).reshape(-1, s.outputs)[: s.entries]
    return sums_EO.reshape(*s.kernel, s.inputs, s.outputs)


def _sizes(x_shape, w_shape, pads: Pads, strides: tuple[int, int]) -> Sizes:
    n, height, width, inputs = x_shape
    return Sizes(
        n=n,
        height=height,
        width=width,
        inputs=inputs,
        kernel=tuple(w_shape[:2]),
        before=(pads[0][0], pads[1][0]),
        stride=strides,
        dilation=(1, 1),
        out=out_sizes(x_shape, w_shape, strides, pads),
        outputs=w_shape[-1],
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x_NHWC, w_HWIO, pads: Pads, strides: tuple[int, int]):
    return _forward(x_NHWC, w_HWIO, _sizes(x_NHWC.shape, w_HWIO.shape, pads, strides))


def _saved(x_NHWC, w_HWIO, pads: Pads, strides: tuple[int, int]):
    return _conv(x_NHWC, w_HWIO, pads, strides), (x_NHWC, w_HWIO)


def _backward(pads: Pads, strides: tuple[int, int], saved, g_NHWO):
    x_NHWC, w_HWIO = saved
    s = _sizes(x_NHWC.shape, w_HWIO.shape, pads, strides)
    dw_HWIO = _kernel_gradient(x_NHWC, g_NHWO, s).astype(w_HWIO.dtype)
    # Every pixel collects from its outputs, through the reversed kernel.
    back = s._replace(
        height=s.out[0],
        width=s.out[1],
        inputs=s.outputs,
        before=tuple(k - 1 - b for k, b in zip(s.kernel, s.before, strict=True)),
        stride=(1, 1),
        dilation=strides,
        out=(s.height, s.width),
        outputs=pl.next_power_of_2(max(s.inputs, LEAST)),
    )
    turned_HWOI = jnp.flip(w_HWIO, (0, 1)).transpose(0, 1, 3, 2)
    missing = back.outputs - s.inputs
    turned_HWOI = jnp.pad(turned_HWOI, ((0, 0), (0, 0), (0, 0), (0, missing)))
    dx_NHWC = _forward(g_NHWO, turned_HWOI, back)[..., : s.inputs]
    return dx_NHWC, dw_HWIO


_conv.defvjp(_saved, _backward)


def _is_power(channels: int) -> bool:
    return channels >= LEAST and channels & (channels - 1) == 0


def _or_patches(
    lhs: jax.Array,
    rhs: jax.Array,
    strides: tuple[int, int],
    pads: Pads,
    precision: Any,
    preferred_element_type: Any,
) -> jax.Array:
    """The GPU kernel for channels that are powers of 2, else patches.

    Images may have less than 16. It sums in float32, which is too little for float64.
    """
    inputs, outputs = rhs.shape[2:]
    channels = _is_power(outputs) and (inputs < LEAST or _is_power(inputs))
    plain = precision is None and lhs.dtype in _DTYPES
    if plain and channels and needs_no_patches(lhs, rhs, pads, preferred_element_type):
        return _conv(lhs, rhs, pads, strides)
    return conv_patches.of_shared_images(
        lhs, rhs, strides, pads, precision, preferred_element_type
    )


conv_general_dilated = like_lax(_or_patches)
