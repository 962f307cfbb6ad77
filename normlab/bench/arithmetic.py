"""The least arithmetic and memory traffic of a step of a network."""

import math
from typing import NamedTuple

import jax

from normlab.models import make_model
from normlab.norms import make_norm
from normlab.train.optimizers import make_optimizer


class LayerProducts(NamedTuple):
    """A convolution or a dense layer as a matrix product.

    Attributes:
      positions: number of output positions per image (1 for a dense layer).
      inputs: input values per output: kernel height x width x channels.
      features: values per output position.
    """

    positions: int
    inputs: int
    features: int

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of the forward product for one image."""
        return self.positions * self.inputs * self.features


def layer_products(
    model: str, image_shape: tuple[int, int, int], classes: int, width: float = 1.0
) -> list[LayerProducts]:
    """The products of a network of `normlab.models` for images of (H, W, C).

    The first layer comes first. Nothing is computed; shapes are traced.
    """
    network = make_model(
        model, norm=make_norm("none"), init="standard", classes=classes, width=width
    )
    image = jax.ShapeDtypeStruct((1, *image_shape), "float32")

    def run(key, image):
        return network.init_with_output(
            key, image, statistics="batch", capture_intermediates=True
        )

    _, variables = jax.eval_shape(run, jax.random.key(0), image)
    outputs = variables["intermediates"]
    layers = []
    for name, values in variables["params"].items():
        kernel, (output,) = values["kernel"], outputs[name]["__call__"]
        features = output.shape[-1]
        positions = output.size // features
        layers.append(LayerProducts(positions, kernel.size // features, features))
    return layers


def step_gflop(
    model: str,
    image_shape: tuple[int, int, int],
    classes: int,
    batch_size: int,
    width: float = 1.0,
) -> float:
    """GFLOP of one member's step: two per multiply-add, of products only.

    Each layer has three products: its output, and the gradients of its kernel and of
    its input. The first layer needs no input gradient. Norms, pooling and the optimizer
    are left out, because they are limited by memory traffic, not by arithmetic.
    """
    layers = layer_products(model, image_shape, classes, width)
    first, *rest = (layer.multiply_adds for layer in layers)
    return 2 * batch_size * (2 * first + 3 * sum(rest)) / 1e9


def step_bytes(
    image_shape: tuple[int, int, int],
    batch_size: int,
    parameter_bytes: int,
    optimizer: str = "adam",
) -> int:
    """The least number of bytes that one member's step moves through memory.

    The parameters count seven times with Adam, and five times with momentum. The images
    of the batch count one byte per value. Activations are left out, because they could
    stay in a cache. If the share of the bandwidth is close to 1, only a different
    optimizer could be faster.

    Raises:
      UserError: the optimizer is unknown.
    """
    images = batch_size * math.prod(image_shape)
    return times_moved(optimizer) * parameter_bytes + images


def times_moved(optimizer: str) -> int:
    """How often a step moves a kernel.

    The optimizer reads and writes it and its moments. The gradient moves once, because
    it can be used where it is computed.
    """
    params = {"kernel": jax.ShapeDtypeStruct((8, 8), "float32")}
    state = jax.eval_shape(make_optimizer(optimizer).init, params)
    moments = sum(x.shape == (8, 8) for x in jax.tree.leaves(state))
    return 1 + 2 * (1 + moments)
