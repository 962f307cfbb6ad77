"""Residual networks for CIFAR, after He et al. 2015, section 4.2."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.models.model import Model

# He et al. pad by one on both sides. For a stride of 2, SAME would pad only on the
# right and centre the convolution on the pixels that the shortcut leaves out.
_PADS = ((1, 1), (1, 1))


class ResNet(Model):
    """A 3x3 convolution, three stages of residual blocks, the mean over positions, and
    one dense layer: 6 ``blocks`` + 2 layers with weights.

    A block is relu(x + norm(conv(relu(norm(conv(x)))))). The three stages have 16, 32
    and 64 channels, and the second and third begin with a stride of 2. Their shortcut
    is the paper's option A, which it uses throughout on CIFAR: every other pixel, with
    zeros for the new channels (after the old ones; the paper does not say where).
    Shortcuts have no parameters, so convolutions and norms are numbered in the order of
    the forward pass, as in `normlab.models.vgg`.

    Convolutions have biases, as in the other networks here. Without a norm, nothing
    else would shift a channel, and before a group norm biases have an effect, too.
    (Before batch norm they have none. The paper mentions none, and all its networks
    have batch norm.) For 3 colours and ten classes there are 269034 parameters in 20
    layers and 850986 in 56, without norms; the paper says 0.27M and 0.85M.

    The number of groups is the same in all layers, so it must divide the channels of
    the
    first: 32 groups need ``--width=2``.

    Attributes:
      blocks: the number of blocks per stage. The other fields are those of `Model`.
    """

    blocks: int = 0

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Logits of shape (N, classes); see `Model`."""

        def conv_norm(x, i, features, stride=1, **where):
            x = self.convolved(x, i, features, stride=stride, padding=_PADS)
            return self.normed(x, i, statistics=statistics, mask=mask, **where)

        x, i = nn.relu(conv_norm(x_NHWC, 1, 16)), 1
        for stage, features in enumerate((16, 32, 64)):
            for block in range(self.blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                y = nn.relu(conv_norm(x, i + 1, features, stride))
                y = conv_norm(y, i + 2, features, last_of_block=True)
                x = nn.relu(_shortcut(x, stride, y.shape[-1]) + y)
                i += 2
        return self.outputs(x.mean((1, 2)), 1)


def _shortcut(x_NHWC: jax.Array, stride: int, features: int) -> jax.Array:
    """Every ``stride``-th pixel, and zeros for channels up to ``features``."""
    new = features - x_NHWC.shape[-1]
    return jnp.pad(x_NHWC[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, new)))


resnet20 = partial(ResNet, blocks=3)
resnet56 = partial(ResNet, blocks=9)
