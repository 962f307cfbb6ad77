"""The report's network, for images of any size."""

import flax.linen as nn
import jax

from normlab.models.model import Model
from normlab.models.pool import max_pool_relu
from normlab.width import channels


class SmallCNN(Model):
    """Two 3x3 convolutions, each normalised and pooled, and two dense layers.

    conv 16 -> norm -> ReLU -> 2x2 max pool -> conv 32 -> norm -> ReLU -> pool ->
    dense 256 -> ReLU -> dense ``classes``; 532202 parameters without a norm for
    32x32x3 images and ten classes (the report, section III). With ``norm_dense``, a
    norm also follows the dense 256.
    """

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Logits of shape (N, classes); see `Model`."""
        x = x_NHWC
        for i, features in enumerate((16, 32), start=1):
            x = self.convolved(x, i, features, padding="SAME")
            x = self.normed(x, i, statistics=statistics, mask=mask)
            x = max_pool_relu(x)
        x = nn.Dense(
            channels(256, self.width),
            kernel_init=self.initializers.kernel,
            bias_init=self.initializers.bias,
            dtype=self.dtype,
            name="dense1",
        )(x.reshape(x.shape[0], -1))
        seen = None if mask is None else mask.reshape(-1, 1)
        x = self.normed(x, 3, statistics=statistics, mask=seen, dense=True)
        return self.outputs(nn.relu(x), 2)
