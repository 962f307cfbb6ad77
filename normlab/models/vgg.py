"""VGG for CIFAR: the convolutions of Simonyan & Zisserman 2015, one dense layer."""

from functools import partial

import flax.linen as nn
import jax

from normlab.models.model import Model
from normlab.models.pool import max_pool_2x2


class VGG(Model):
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
      blocks: for every block the channels of its convolutions; the others are those of
        `Model`.
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
                if place == len(block) and max(x.shape[1:3]) > 1:
                    # Before the ReLU, which is monotone: a quarter of the work.
                    x = max_pool_2x2(x)
                x = nn.relu(x)
        return self.outputs(x.reshape(x.shape[0], -1), 1)


# Configurations A and D of Simonyan & Zisserman's table 1. Their names count the dense
# layers of the ImageNet head; here there are 8 and 13 convolutions and one dense layer.
vgg11 = partial(VGG, blocks=((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2))
vgg16 = partial(VGG, blocks=((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3))
