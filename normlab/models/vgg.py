"""VGG for CIFAR: Simonyan & Zisserman's (2015) convolutions and one dense layer."""

from functools import partial

import flax.linen as nn
import jax

from normlab.models.model import Model
from normlab.models.pool import max_pool_relu


class VGG(Model):
    """Blocks of 3x3 convolutions, each with a norm. A 2x2 max pool ends each block.

    A block repeats conv -> norm -> ReLU for each of its channel counts, then pools. A
    dense layer with ``classes`` outputs follows. For 32x32 images and five blocks, its
    input is one pixel with 512 channels. As usual for CIFAR, there is no counterpart of
    Simonyan & Zisserman's ImageNet head (two dense layers of 4096 with dropout).
    Santurkar et al. 2018 train a "VGG-like" network, but do not state its depth or
    head. Their plots number the layers up to 13, the convolutions of `vgg16`.

    An image of one pixel is not pooled again, so images of any size pass through all
    blocks.

    Attributes:
      blocks: for every block, the channels of its convolutions. The other fields are
        those of `Model`.
    """

    blocks: tuple[tuple[int, ...], ...] = ()

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Logits of shape (N, classes); see `Model`."""
        x, i = x_NHWC, 0
        for block in self.blocks:
            for place, features in enumerate(block, start=1):
                i += 1
                x = self.convolved(x, i, features, padding="SAME")
                x = self.normed(x, i, statistics=statistics, mask=mask)
                ends = place == len(block) and max(x.shape[1:3]) > 1
                x = max_pool_relu(x) if ends else nn.relu(x)
        return self.outputs(x.reshape(x.shape[0], -1), 1)


# Configurations A and D of Simonyan & Zisserman's table 1. The names count the ImageNet
# head's dense layers. Here there are 8 and 13 convolutions, and one dense layer.
vgg11 = partial(VGG, blocks=((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2))
vgg16 = partial(VGG, blocks=((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3))
