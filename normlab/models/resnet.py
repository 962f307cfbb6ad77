"""Residual networks for CIFAR, after He et al. 2015, section 4.2."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.models.init import Init
from normlab.models.width import channels

# He et al. pad by one on both sides. SAME would pad a convolution of stride 2 on the
# right alone, and centre it on the pixels that the shortcut leaves out.
_PADS = ((1, 1), (1, 1))


class ResNet(nn.Module):
    """A 3x3 convolution, three stages of residual blocks, the mean over positions, and
    one dense layer: 6 ``blocks`` + 2 layers with weights.

    A block is relu(x + norm(conv(relu(norm(conv(x)))))), of 16, 32 and 64 channels in
    the three stages, whose second and third begin with a stride of 2. There the
    shortcut is the paper's option A, which it uses throughout on CIFAR: every other
    pixel, and zeros for the channels that are new (after the old ones; the paper does
    not say where). Shortcuts have no parameters, so convolutions and norms are numbered
    through in the order of the forward pass, as in `normlab.models.vgg`.

    Convolutions have biases, as in the other networks here: without a norm nothing else
    would shift a channel, and before a group norm they count, too. (Before batch norm
    they do nothing; the paper, whose networks all have it, mentions none.) Without
    norms there are 269034 parameters in 20 layers and 850986 in 56, for 3 colours and
    ten classes; the paper says 0.27M and 0.85M.

    The number of groups is the same in all layers and must divide the channels of the
    first: 32 groups need ``--width=2``.

    Attributes:
      blocks: in each stage.
      norm: name -> ``normalise(x, statistics=..., mask=...)``, made by
        `normlab.norms.make_norm`; the model never learns which norm it is.
      initializers: of every kernel and bias.
      classes: the number of logits.
      width: multiplies the channels of the convolutions.
      conv: the convolution's form, as ``flax.linen.Conv`` takes it.
      dtype: what the layers compute in, by default that of images and parameters;
        logits are float32 or wider.
    """

    blocks: int
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

        def conv_norm(x, i, features, stride=1, *, last_of_block=False):
            x = nn.Conv(
                channels(features, self.width),
                (3, 3),
                strides=stride,
                padding=_PADS,
                kernel_init=init.kernel,
                bias_init=init.bias,
                conv_general_dilated=self.conv,
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            norm = self.norm(f"norm{i}", last_of_block=last_of_block)
            x = norm(x, statistics=statistics, mask=mask)
            # Norms compute in float32.
            return x if self.dtype is None else x.astype(self.dtype)

        x, i = nn.relu(conv_norm(x_NHWC, 1, 16)), 1
        for stage, features in enumerate((16, 32, 64)):
            for block in range(self.blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                y = nn.relu(conv_norm(x, i + 1, features, stride))
                y = conv_norm(y, i + 2, features, last_of_block=True)
                x = nn.relu(_shortcut(x, stride, y.shape[-1]) + y)
                i += 2
        logits_NK = nn.Dense(
            self.classes,
            kernel_init=init.last_kernel,
            bias_init=init.bias,
            dtype=self.dtype,
            name="dense1",
        )(x.mean((1, 2)))
        return logits_NK.astype(jnp.promote_types(logits_NK.dtype, jnp.float32))


def _shortcut(x_NHWC: jax.Array, stride: int, features: int) -> jax.Array:
    """Every ``stride``-th pixel, and zeros for channels up to ``features``."""
    new = features - x_NHWC.shape[-1]
    return jnp.pad(x_NHWC[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, new)))


resnet20 = partial(ResNet, blocks=3)
resnet56 = partial(ResNet, blocks=9)
