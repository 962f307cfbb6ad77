"""A deep linear network, after Santurkar et al. 2018, appendix A."""

import flax.linen as nn
import jax

from normlab.models.model import Model
from normlab.models.width import channels


class DeepLinear(Model):
    """Matrices and norms, nothing else: without a norm, ``W_1 ... W_depth x``.

    dense1 -> norm1 -> ... -> norm24 -> dense25 for the default depth; no biases. A
    hidden layer is as wide as the input, so on `normlab.data.gaussian` all 25 matrices
    are 10x10, those of the paper. (dense1 acts first; the paper's product writes it
    last.)

    Start it with ``--init=glorot``, as the paper does: an initialiser for ReLU doubles
    the variance at every layer.

    A norm stands after every layer but the last. The paper does not say which layers
    have one. Behind the last it would fix the scale of the outputs, which are to equal
    the targets: without a learned scale nothing could fit, and with one the norm's
    scale alone would have to.

    Attributes:
      depth: the number of matrices; the others are those of `Model`, of which ``conv``
        is not used.
    """

    depth: int = 25

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Outputs of shape (N, classes); see `Model`.

        All of an example is one input vector, and each of its entries a channel to the
        norms.
        """
        x_N11D = x_NHWC.reshape(x_NHWC.shape[0], 1, 1, -1)  # four axes, as masks have
        features = channels(x_N11D.shape[-1], self.width)
        for i in range(1, self.depth):
            x_N11D = nn.Dense(
                features,
                use_bias=False,
                kernel_init=self.initializers.kernel,
                dtype=self.dtype,
                name=f"dense{i}",
            )(x_N11D)
            x_N11D = self.normed(x_N11D, i, statistics=statistics, mask=mask)
        return self.outputs(x_N11D[:, 0, 0], self.depth, use_bias=False)
