"""A convolution as an implicit product: a GPU kernel that never writes patches.

Each block of output pixels gathers its inputs tap by tap and multiplies them with the
kernel of that tap, so the patches exist only in registers. Both gradients are of the
same kind. Under vmap, members become an axis of the grid. If they see the same images,
a few of them share what a block has gathered.

It is written in Pallas, for Triton. On a CPU it is interpreted, which is slow and only
for tests. It supports reverse mode once. Second derivatives need another form.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from normlab.models import backend, conv_patches
from normlab.models.conv_front import Pads, like_lax, needs_no_patches, out_sizes
from normlab.models.conv_kernels import BLOCKS, forward_kernel, gradient_kernel
from normlab.models.conv_tile import LEAST, Sizes, Tile

_DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)
# The fastest of eighteen for the forward pass, and of thirty for the gradient, on an
# H100 and the layers of small_cnn and ResNet-20 (docs/speed.md). Products in float32
# are not made by the matrix units, so more pixels share what a program has loaded.
_FORWARD = Tile(64, 32, 64, 3)
_FORWARD_FLOAT32 = Tile(128, 32, 64, 3)
_GRADIENT = Tile(32, 32, 64, 3)
_WARPS = 2
# So many sums are kept in a program's registers, of so many members at most.
_SUMS, _MEMBERS = 4608, 4


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
    return x.dtype == jnp.float32 and _precision() in ("float32", "highest")


def _precision() -> Any:
    """The precision of products that holds where this is called."""
    config: Any = jax.config
    return config.jax_default_matmul_precision


def _sharing(members: int, sums: int) -> int:
    """How many members a program takes, each with ``sums`` sums: a divisor of all."""
    most = max(1, min(_MEMBERS, _SUMS // sums))
    return next(n for n in range(most, 0, -1) if members % n == 0)


def _of_member(
    function: Callable, x_NHWC: jax.Array, other: jax.Array, s: Sizes, precision: Any
) -> jax.Array:
    """``function(x_NHWC, other[None], s)[0]``.

    ``function`` takes ``other`` with an axis of members, and its result has one. Under
    vmap over members of the same images, it is called once for all of them.

    Args:
      other: the member's kernel, or the gradient of its outputs.
      precision: of products. JAX may call this where another default holds.
    """

    def of_all(x_NHWC, others):
        with jax.default_matmul_precision(precision):
            return function(x_NHWC, others, s)

    def alone(x_NHWC, other):
        return of_all(x_NHWC, other[None])[0]

    one = jax.custom_batching.custom_vmap(alone)

    @one.def_vmap
    def _(_, is_mapped, x_NHWC, other):
        if is_mapped == [False, True]:
            return of_all(x_NHWC, other), True
        axes = [0 if mapped else None for mapped in is_mapped]
        return jax.vmap(alone, axes)(x_NHWC, other), True

    return one(x_NHWC, other)


def _forward(x_NHWC: jax.Array, w_MHWIO: jax.Array, s: Sizes) -> jax.Array:
    is_full = _is_full(x_NHWC)
    t = s.tile(_FORWARD_FLOAT32 if is_full else _FORWARD)
    members, rows = len(w_MHWIO), pl.cdiv(s.pixels, t.pixels)
    # In float32, most of the work is in the products, which nothing shares.
    sharing = 1 if is_full else _sharing(members, t.pixels * t.outputs)
    y_MPO = _call(
        forward_kernel,
        s,
        t,
        jax.ShapeDtypeStruct((members, rows * t.pixels, s.outputs), x_NHWC.dtype),
        (rows, s.outputs // t.outputs, members // sharing),
        pl.BlockSpec((sharing, t.pixels, t.outputs), lambda i, j, k: (k, i, j)),
        x_NHWC.reshape(-1, s.inputs),
        w_MHWIO.reshape(members, -1, s.outputs),
    )
    return y_MPO[:, : s.pixels].reshape(members, s.n, *s.out, s.outputs)


def _kernel_gradient(x_NHWC: jax.Array, g_MNHWO: jax.Array, s: Sizes) -> jax.Array:
    t = s.tile(_GRADIENT)
    members, turns = len(g_MNHWO), pl.cdiv(s.entries, t.entries)
    together = min(turns, max(1, _SUMS // (t.entries * t.outputs)))
    groups, parts = pl.cdiv(turns, together), pl.cdiv(s.pixels, t.pixels * BLOCKS)
    sharing = _sharing(members, together * t.entries * t.outputs)
    sums = _call(
        gradient_kernel,
        s,
        t,
        jax.ShapeDtypeStruct(
            (parts, members, groups * together, s.outputs, t.entries), jnp.float32
        ),
        (groups, s.outputs // t.outputs, parts, members // sharing),
        pl.BlockSpec(
            (None, sharing, together, t.outputs, t.entries),
            lambda i, j, k, m: (k, m, i, j, 0),
        ),
        x_NHWC.reshape(-1, s.inputs),
        g_MNHWO.reshape(members, -1, s.outputs),
    )
    sums_MEO = sums.sum(0).swapaxes(2, 3).reshape(members, -1, s.outputs)
    return sums_MEO[:, : s.entries].reshape(members, *s.kernel, s.inputs, s.outputs)


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


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _conv(x_NHWC, w_HWIO, pads: Pads, strides: tuple[int, int], precision: Any):
    s = _sizes(x_NHWC.shape, w_HWIO.shape, pads, strides)
    return _of_member(_forward, x_NHWC, w_HWIO, s, precision)


def _saved(x_NHWC, w_HWIO, pads: Pads, strides: tuple[int, int], precision: Any):
    return _conv(x_NHWC, w_HWIO, pads, strides, precision), (x_NHWC, w_HWIO)


def _backward(pads: Pads, strides: tuple[int, int], precision: Any, saved, g_NHWO):
    x_NHWC, w_HWIO = saved
    s = _sizes(x_NHWC.shape, w_HWIO.shape, pads, strides)
    dw_HWIO = _of_member(_kernel_gradient, x_NHWC, g_NHWO, s, precision)
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
    dx_NHWC = _of_member(_forward, g_NHWO, turned_HWOI, back, precision)
    return dx_NHWC[..., : s.inputs], dw_HWIO.astype(w_HWIO.dtype)


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
        return _conv(lhs, rhs, pads, strides, _precision())
    return conv_patches.of_shared_images(
        lhs, rhs, strides, pads, precision, preferred_element_type
    )


conv_general_dilated = like_lax(_or_patches)
