"""A deep linear network, after Santurkar et al. 2018, appendix A."""

import flax.linen as nn
import jax

from normlab.models.model import Model
from normlab.width import channels


class DeepLinear(Model):
    """Only matrices and norms; without a norm it is ``W_1 ... W_depth x``.

    dense1 -> norm1 -> ... -> norm24 -> dense25 at the default depth, without biases. A
    hidden layer is as wide as the input, so on `normlab.data.gaussian` all 25 matrices
    are 10x10, as in the paper. (dense1 acts first; the paper's product writes it last.)

    Use ``--init=glorot``, as the paper does: an initialiser for ReLU doubles the
    variance at every layer.

    A norm follows every layer but the last. The paper does not say which layers have
    one. A norm after the last layer would fix the scale of the outputs, which must
    equal the targets. Without a learned scale it could not fit them, and with one that
    scale alone would have to.

    Attributes:
      depth: the number of matrices. The other fields are those of `Model`; ``conv`` is
        not used.
    """

    depth: int = 25

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Outputs of shape (N, classes); see `Model`.

        Each example is one input vector. Its entries are the channels of the norms.
        """
        # Ten features fill no vector register of a CPU, but the examples of a batch do.
        # So they are the last axis, and the norms get a transposed view. By reshapes
        # (`x_DN.T[:, None, None]`), a step with batch norm takes twice as long.
        x_DN = x_NHWC.reshape(x_NHWC.shape[0], -1).T
        features = channels(x_DN.shape[0], self.width)
        for i in range(1, self.depth):
            x_DN = nn.Einsum(
                (x_DN.shape[0], features),
                "dn,dk->kn",
                use_bias=False,
                kernel_init=self.initializers.kernel,
                dtype=self.dtype,
                name=f"dense{i}",
            )(x_DN)
            x_N11D = x_DN[None, None].transpose(3, 0, 1, 2)
            x_N11D = self.normed(x_N11D, i, statistics=statistics, mask=mask)
            x_DN = x_N11D.transpose(1, 2, 3, 0)[0, 0]
        return self.outputs(x_DN.T, self.depth, use_bias=False)
