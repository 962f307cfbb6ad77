"""The GPU programs of a convolution, in Pallas for Triton.

Images and gradients are (pixels, channels), weights (entries of a patch, outputs). What
belongs to a member has a leading axis of members. Each program computes one block of a
result, for some members that see the same images. So it gathers them once for all.
Sums are float32.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from normlab.models.conv_tile import LEAST, Sizes, Tile

# A program for kernel gradients sums over so many blocks of pixels. The results of
# programs are then added.
BLOCKS = 16


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


def gathered(x_ref, first, turn, s: Sizes, t: Tile) -> jax.Array:
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


def forward_kernel(x_ref, w_ref, y_ref, *, s: Sizes, t: Tile) -> None:
    """Writes outputs (members, ``t.pixels``, ``t.outputs``), in the images' dtype.

    Args:
      x_ref: all images.
      w_ref: the weights of all members.
    """
    first, out = pl.program_id(0) * t.pixels, pl.program_id(1) * t.outputs
    features = out + jnp.arange(t.outputs)
    sharing = y_ref.shape[0]
    members = [pl.program_id(2) * sharing + i for i in range(sharing)]

    def add(turn, totals):
        x = gathered(x_ref, first, turn, s, t)
        entries, *_ = _entries(turn, s, t)
        real = jnp.broadcast_to((entries < s.entries)[:, None], (t.entries, t.outputs))

        def product(member):
            at = w_ref.at[member, entries[:, None], features[None, :]]
            w = triton.load(at, mask=real, other=0)
            return jnp.dot(x, w, preferred_element_type=jnp.float32)

        return [
            total + product(member)
            for total, member in zip(totals, members, strict=True)
        ]

    zero = jnp.zeros((t.pixels, t.outputs), jnp.float32)
    turns = pl.cdiv(s.entries, t.entries)
    totals = jax.lax.fori_loop(0, turns, add, [zero] * sharing)
    for i, total in enumerate(totals):
        y_ref[i] = total.astype(y_ref.dtype)


def gradient_kernel(x_ref, g_ref, d_ref, *, s: Sizes, t: Tile) -> None:
    """Writes (members, turns, outputs, entries): sums over ``BLOCKS`` blocks of pixels.

    Args:
      x_ref: all images.
      g_ref: the gradients of the outputs of all members.
    """
    sharing, together = d_ref.shape[:2]
    turns = [pl.program_id(0) * together + i for i in range(together)]
    features = pl.program_id(1) * t.outputs + jnp.arange(t.outputs)
    start = pl.program_id(2) * BLOCKS
    members = [pl.program_id(3) * sharing + i for i in range(sharing)]

    def add(block, totals):
        first = (start + block) * t.pixels
        pixel = first + jnp.arange(t.pixels)
        seen = pixel < s.pixels
        mask = jnp.broadcast_to(seen[:, None], (t.pixels, t.outputs))
        pixel = jnp.where(seen, pixel, 0)
        # g is turned once for all entries. Turning every x instead is slower.
        turned = [
            triton.load(
                g_ref.at[member, pixel[:, None], features[None, :]], mask=mask, other=0
            ).T
            for member in members
        ]

        def products(turn):
            x = gathered(x_ref, first, turn, s, t)
            return [jnp.dot(g, x, preferred_element_type=jnp.float32) for g in turned]

        return jax.tree.map(jnp.add, totals, [products(turn) for turn in turns])

    zero = jnp.zeros((t.outputs, t.entries), jnp.float32)
    totals = jax.lax.fori_loop(0, BLOCKS, add, [[zero] * sharing] * together)
    for turn, of_turn in enumerate(totals):
        for member, total in enumerate(of_turn):
            d_ref[member, turn] = total
