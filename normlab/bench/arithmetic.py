"""The least arithmetic and memory traffic of a step of the report's network."""

import math
from typing import NamedTuple


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
    """GFLOP of one member's step: two per multiply-add, of products only.

    Each layer has three products: its output, and the gradients of its kernel and of
    its input. The first layer needs no input gradient. Norms, pooling and the optimizer
    are left out, because they are limited by memory traffic, not by arithmetic.
    """
    first, *rest = (x.multiply_adds for x in small_cnn_layers(image_shape, classes))
    return 2 * batch_size * (2 * first + 3 * sum(rest)) / 1e9


def step_bytes(
    image_shape: tuple[int, int, int], batch_size: int, parameter_bytes: int
) -> int:
    """The least number of bytes that one member's step moves through memory.

    The parameters count seven times: they and Adam's two moments are read and written,
    and the gradient moves once, because it can be used where it is computed. The images
    of the batch count one byte per value. Activations are left out, because they could
    stay in a cache. If the share of the bandwidth is close to 1, only a different
    optimizer could be faster.
    """
    return 7 * parameter_bytes + batch_size * math.prod(image_shape)
