"""The report's network, for images of any size."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.models.init import Init
from normlab.models.pool import max_pool_2x2
from normlab.models.width import channels


class SmallCNN(nn.Module):
    """Two 3x3 convolutions, each normalised and pooled, and two dense layers.

    conv 16 -> norm -> ReLU -> 2x2 max pool -> conv 32 -> norm -> ReLU -> pool ->
    dense 256 -> ReLU -> dense ``classes``; 532202 parameters without a norm for
    32x32x3 images and ten classes (the report, section III). With ``norm_dense`` a norm
    stands behind the dense 256, too.

    Attributes:
      norm: name -> ``normalise(x, statistics=..., mask=...)``, made by
        `normlab.norms.make_norm`; the model never learns which norm it is.
      initializers: of every kernel and bias.
      classes: the number of logits.
      width: multiplies the 16, 32 and 256.
      conv: the convolution's form, as ``flax.linen.Conv`` takes it.
      dtype: what the layers compute in, by default that of images and parameters;
        logits are float32 or wider.
    """

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
        x = x_NHWC
        for i, features in enumerate((16, 32), start=1):
            x = nn.Conv(
                channels(features, self.width),
                (3, 3),
                padding="SAME",
                kernel_init=self.initializers.kernel,
                bias_init=self.initializers.bias,
                conv_general_dilated=self.conv,
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            x = self.norm(f"norm{i}")(x, statistics=statistics, mask=mask)
            if self.dtype is not None:
                x = x.astype(self.dtype)  # norms compute in float32
            # ReLU is monotone, so it may follow the pool: a quarter of the work.
            x = nn.relu(max_pool_2x2(x))
        x = x.reshape(x.shape[0], -1)
        init = self.initializers
        x = nn.Dense(
            channels(256, self.width),
            kernel_init=init.kernel,
            bias_init=init.bias,
            dtype=self.dtype,
            name="dense1",
        )(x)
        seen = None if mask is None else mask.reshape(-1, 1)
        x = self.norm("norm3", dense=True)(x, statistics=statistics, mask=seen)
        if self.dtype is not None:
            x = x.astype(self.dtype)
        logits_NK = nn.Dense(
            self.classes,
            kernel_init=init.last_kernel,
            bias_init=init.bias,
            dtype=self.dtype,
            name="dense2",
        )(nn.relu(x))
        return logits_NK.astype(jnp.promote_types(logits_NK.dtype, jnp.float32))
