"""What a step of the report's network must compute and move, at the least."""

import math
from typing import NamedTuple


class LayerProducts(NamedTuple):
    """A convolution or a dense layer as a matrix product.

    Attributes:
      positions: outputs an image (1 for a dense layer).
      inputs: numbers each output is made of, kernel height x width x channels.
      features: numbers each output is.
    """

    positions: int
    inputs: int
    features: int

    @property
    def multiply_adds(self) -> int:
        """Of the forward product, for one image."""
        return self.positions * self.inputs * self.features


def small_cnn_layers(
    image_shape: tuple[int, int, int], classes: int
) -> list[LayerProducts]:
    """The products of `normlab.models.small_cnn` for images of (H, W, C)."""
    height, width, channels = image_shape
    layers = []
    for features in (16, 32):
        layers.append(LayerProducts(height * width, 9 * channels, features))
        height, width, channels = -(-height // 2), -(-width // 2), features
    layers.append(LayerProducts(1, height * width * channels, 256))
    layers.append(LayerProducts(1, 256, classes))
    return layers


def step_gflop(
    image_shape: tuple[int, int, int], classes: int, batch_size: int
) -> float:
    """GFLOP of one member's step: two a multiply-add, products alone.

    Each layer multiplies three times, for its output and for the gradients of its
    kernel and of its input; the first needs no gradient of its input. Norms, pools
    and the optimizer are left out: their work is small, their cost is traffic.
    """
    first, *rest = (x.multiply_adds for x in small_cnn_layers(image_shape, classes))
    return 2 * batch_size * (2 * first + 3 * sum(rest)) / 1e9


def step_bytes(
    image_shape: tuple[int, int, int], batch_size: int, parameter_bytes: int
) -> int:
    """The least bytes that one member's step can move through memory.

    Seven times the parameters: read and written, Adam's two moments each read and
    written, and the gradient once, as it could be made where it is used. And the
    images of the batch, one byte a number. Activations are left out, as they could
    stay in a cache: a share of the bandwidth that is near 1 means that nothing but
    another optimizer could be faster.
    """
    return 7 * parameter_bytes + batch_size * math.prod(image_shape)
