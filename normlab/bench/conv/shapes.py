"""Convolutions of known networks, and their three products timed in a loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from normlab.models import CONVS, conv_direct


@dataclass(frozen=True)
class Shape:
    """A 3x3 convolution, stride 1, SAME.

    Attributes:
      size: height and width of its images.
      inputs, outputs: channels.
    """

    size: int
    inputs: int
    outputs: int

    def gflop(self, batch_size: int) -> float:
        """Of the output and both gradients: two a multiply-add."""
        products = batch_size * self.size**2 * 9 * self.inputs * self.outputs
        return 3 * 2 * products / 1e9


# The report's network, CIFAR ResNets (He et al. 2016), VGG (Simonyan & Zisserman 2015).
SHAPES: dict[str, Shape] = {
    "report conv1": Shape(32, 3, 16),
    "report conv2": Shape(16, 16, 32),
    "ResNet stage 1": Shape(32, 16, 16),
    "ResNet stage 2": Shape(16, 32, 32),
    "ResNet stage 3": Shape(8, 64, 64),
    "VGG block 1": Shape(32, 64, 64),
    "VGG block 2": Shape(16, 128, 128),
    "VGG block 3": Shape(8, 256, 256),
    "VGG block 4": Shape(4, 512, 512),
    "VGG block 5": Shape(2, 512, 512),
}


# Each by itself: a sweep's "direct" leaves thin kernels to patches.
FORMS = {**CONVS, "direct": partial(conv_direct.conv_general_dilated, thin=0)}
del FORMS["shared"]


def make_loop(form: str, shape: Shape, batch_size: int, members: int) -> Callable:
    """``loop(count) -> None``: so often the output and both gradients, in one program.

    Args:
      form: a name in `FORMS`.
      members: kernels at once, by vmap; 1 is one alone.
    """
    random = np.random.default_rng(0)

    def draw(*sizes: int) -> jax.Array:
        lead = (members,) if members > 1 else ()
        return jnp.asarray(random.normal(size=lead + sizes), jnp.float32)

    x = draw(batch_size, shape.size, shape.size, shape.inputs)
    kernel = draw(3, 3, shape.inputs, shape.outputs) / (9 * shape.inputs) ** 0.5
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}

    def products(x, kernel):
        y, back = jax.vjp(
            lambda *a: FORMS[form](*a, (1, 1), "SAME", **options), x, kernel
        )
        return y, back(y)

    both = jax.vmap(products) if members > 1 else products

    def body(_, carry):
        x, kernel, scale = carry
        y, (dx, dk) = both(x, kernel)
        # What comes next depends on every product, and hardly moves.
        moved = scale * (y.mean() + dx.mean() + dk.mean())
        return x + moved, kernel + moved, scale

    @jax.jit
    def run(count, x, kernel):
        start = (x, kernel, jnp.float32(1e-9))
        return jax.lax.fori_loop(0, count, body, start)[1]

    return lambda count: jax.block_until_ready(run(jnp.int32(count), x, kernel))


def seconds(loop: Callable, count: int) -> float:
    """Of one turn of ``loop``, over ``count`` of them."""
    start = time.perf_counter()
    loop(count)
    return (time.perf_counter() - start) / count
