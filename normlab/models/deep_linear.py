"""A deep linear network, after Santurkar et al. 2018, appendix A."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.models.init import Init
from normlab.models.width import channels


class DeepLinear(nn.Module):
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
      norm: name -> ``normalise(x, statistics=..., mask=...)``, made by
        `normlab.norms.make_norm`; the model never learns which norm it is.
      initializers: of the kernels; there are no biases.
      classes: the number of outputs.
      width: multiplies the hidden layers' width.
      conv: not used.
      dtype: what the layers compute in, by default that of inputs and parameters;
        outputs are float32 or wider.
      depth: the number of matrices.
    """

    norm: Callable
    initializers: Init
    classes: int
    width: float
    conv: Callable
    dtype: Any
    depth: int = 25

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Outputs of shape (N, classes).

        Args:
          x_NHWC: shape (N, H, W, C), float; all of an example is one input vector, and
            each of its entries a channel to the norms.
          statistics: ``"batch"`` or ``"running"``, for batch norm.
          mask: shape (N, 1, 1, 1); zero marks padding, which batch statistics
            leave out.
        """
        init = self.initializers
        x_N11D = x_NHWC.reshape(x_NHWC.shape[0], 1, 1, -1)  # four axes, as masks have
        features = channels(x_N11D.shape[-1], self.width)
        for i in range(1, self.depth):
            x_N11D = nn.Dense(
                features,
                use_bias=False,
                kernel_init=init.kernel,
                dtype=self.dtype,
                name=f"dense{i}",
            )(x_N11D)
            x_N11D = self.norm(f"norm{i}")(x_N11D, statistics=statistics, mask=mask)
            if self.dtype is not None:
                x_N11D = x_N11D.astype(self.dtype)  # norms compute in float32
        outputs_NK = nn.Dense(
            self.classes,
            use_bias=False,
            kernel_init=init.last_kernel,
            dtype=self.dtype,
            name=f"dense{self.depth}",
        )(x_N11D[:, 0, 0])
        return outputs_NK.astype(jnp.promote_types(outputs_NK.dtype, jnp.float32))
