"""What all models share: their fields, and how they make layers."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.models.init import Init
from normlab.width import channels


class Model(nn.Module):
    """A network that takes its norm as a field and never knows which norm it is.

    It is called as ``model(x_NHWC, statistics=..., mask=None)`` and returns outputs of
    shape (N, classes), float32 or wider. ``x_NHWC`` are images, shape (N, H, W, C),
    float. ``statistics`` is ``"batch"`` or ``"running"``, for batch norm. ``mask``, of
    shape (N, 1, 1, 1), is zero for padding, which batch statistics leave out.

    Attributes:
      norm: name -> ``normalise(x, statistics=..., mask=...)``, made by
        `normlab.norms.make_norm`.
      initializers: the initialisers of kernels and biases.
      classes: the number of outputs.
      width: multiplies the channels of every layer but the last.
      conv: the form of the convolution, as ``flax.linen.Conv`` takes it.
      dtype: the dtype in which layers compute; by default that of images and
        parameters.
    """

    norm: Callable
    initializers: Init
    classes: int
    width: float
    conv: Callable
    dtype: Any

    def convolved(
        self,
        x: jax.Array,
        number: int,
        features: int,
        *,
        stride: int = 1,
        **options: Any,
    ) -> jax.Array:
        """A 3x3 convolution to ``width * features`` channels, called ``conv<number>``.

        Args:
          options: further arguments of ``flax.linen.Conv``.
        """
        return nn.Conv(
            channels(features, self.width),
            (3, 3),
            strides=stride,
            kernel_init=self.initializers.kernel,
            bias_init=self.initializers.bias,
            conv_general_dilated=self.conv,
            dtype=self.dtype,
            name=f"conv{number}",
            **options,
        )(x)

    def normed(
        self,
        x: jax.Array,
        number: int,
        *,
        statistics: str,
        mask: jax.Array | None,
        **where: bool,
    ) -> jax.Array:
        """The norm called ``norm<number>``, in the dtype of the layers.

        Args:
          where: further arguments of `normlab.norms.Norm`, like ``dense=True``.
        """
        norm = self.norm(f"norm{number}", **where)
        x = norm(x, statistics=statistics, mask=mask)
        # Norms compute in float32.
        return x if self.dtype is None else x.astype(self.dtype)

    def outputs(self, x_NC: jax.Array, number: int, **options: Any) -> jax.Array:
        """The last dense layer, called ``dense<number>``."""
        outputs_NK = nn.Dense(
            self.classes,
            kernel_init=self.initializers.last_kernel,
            bias_init=self.initializers.bias,
            dtype=self.dtype,
            name=f"dense{number}",
            **options,
        )(x_NC)
        return outputs_NK.astype(jnp.promote_types(outputs_NK.dtype, jnp.float32))
