"""VGG for CIFAR: the convolutions of Simonyan & Zisserman 2015, one dense layer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.models.init import Init
from normlab.models.pool import max_pool_2x2
from normlab.models.width import channels


class VGG(nn.Module):
    """Blocks of 3x3 convolutions, each normalised, a 2x2 max pool after a block.

    conv -> norm -> ReLU, as often as a block has channels, -> pool; then a dense layer
    of ``classes`` on what is left: for 32x32 images and five blocks that is one pixel
    of 512 channels. Simonyan & Zisserman's ImageNet head (two dense layers of 4096 with
    dropout) has no counterpart here, as usual for CIFAR. Santurkar et al. 2018 train a
    "VGG-like" network whose depth and head they do not state; their plots number the
    layers up to 13, the convolutions of `vgg16`.

    An image that is down to one pixel is not pooled any more, so images of any size
    pass through all blocks.

    Attributes:
      blocks: for every block the channels of its convolutions.
      norm: name -> ``normalise(x, statistics=..., mask=...)``, made by
        `normlab.norms.make_norm`; the model never learns which norm it is.
      initializers: of every kernel and bias.
      classes: the number of logits.
      width: multiplies the channels of the convolutions.
      conv: the convolution's form, as ``flax.linen.Conv`` takes it.
      dtype: what the layers compute in, by default that of images and parameters;
        logits are float32 or wider.
    """

    blocks: tuple[tuple[int, ...], ...]
    norm: Callable
    initializers: Init
    classes: int
    width: float
    conv: Callable
    dtype: Any

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Logits of shape (N, classes).

        Args:
          x_NHWC: images, shape (N, H, W, C), float.
          statistics: ``"batch"`` or ``"running"``, for batch norm.
          mask: shape (N, 1, 1, 1); zero marks padding, which batch statistics
            leave out.
        """
        init = self.initializers
        x, i = x_NHWC, 0
        for block in self.blocks:
            for place, features in enumerate(block, start=1):
                i += 1
                x = nn.Conv(
                    channels(features, self.width),
                    (3, 3),
                    padding="SAME",
                    kernel_init=init.kernel,
                    bias_init=init.bias,
                    conv_general_dilated=self.conv,
                    dtype=self.dtype,
                    name=f"conv{i}",
                )(x)
                x = self.norm(f"norm{i}")(x, statistics=statistics, mask=mask)
                if self.dtype is not None:
                    x = x.astype(self.dtype)  # norms compute in float32
                if place == len(block) and max(x.shape[1:3]) > 1:
                    # Before the ReLU, which is monotone: a quarter of the work.
                    x = max_pool_2x2(x)
                x = nn.relu(x)
        logits_NK = nn.Dense(
            self.classes,
            kernel_init=init.last_kernel,
            bias_init=init.bias,
            dtype=self.dtype,
            name="dense1",
        )(x.reshape(x.shape[0], -1))
        return logits_NK.astype(jnp.promote_types(logits_NK.dtype, jnp.float32))


# Configurations A and D of Simonyan & Zisserman's table 1. Their names count the dense
# layers of the ImageNet head; here there are 8 and 13 convolutions and one dense layer.
vgg11 = partial(VGG, blocks=((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2))
vgg16 = partial(VGG, blocks=((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3))
