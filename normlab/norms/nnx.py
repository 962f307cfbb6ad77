"""The norms as Flax NNX modules: the same functions, parameters and numbers.

    from normlab.norms import nnx as norms
    layer = norms.BatchNorm(16, rngs=nnx.Rngs(0))

They take the arguments of Flax's own modules of these names and keep the same
variables. They differ from them as the Linen modules of `normlab.norms` differ from
Linen's: every reduction is of shifted data, in float32 or wider.

Outside of NNX's transforms, split a model that updates running averages and merge it
inside the transform. NNX then knows of the update. Without this, it raises an error.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jax.nn import initializers

from normlab.errors import UserError
from normlab.norms import functional, lp, running
from normlab.norms.affine import compute_input, output_dtype


class _Affine(nnx.Module):
    """A learned scale and bias. One that is not used is None.

    Args:
      shape: the shape of the features.
      rngs: its stream ``params`` is used.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        rngs: nnx.Rngs,
        param_dtype: Any = jnp.float32,
        use_bias: bool = True,
        use_scale: bool = True,
        bias_init: initializers.Initializer = initializers.zeros,
        scale_init: initializers.Initializer = initializers.ones,
    ):
        def param(is_used: bool, init: initializers.Initializer) -> Any:
            if not is_used:
                return nnx.data(None)
            return nnx.Param(init(rngs.params(), shape, param_dtype))

        self.scale = param(use_scale, scale_init)
        self.bias = param(use_bias, bias_init)

    def _values(self) -> tuple[Array | None, Array | None]:
        """Scale and bias."""
        pair = (self.scale, self.bias)
        scale, bias = (None if one is None else one[...] for one in pair)
        return scale, bias


class _Averaging(_Affine):
    """A norm with two running averages of batch statistics, by their names."""

    _names: tuple[str, str]

    def __init__(
        self, shape: tuple[int, ...], momentum: float, param_dtype: Any, **affine: Any
    ):
        super().__init__(shape, param_dtype=param_dtype, **affine)
        self.momentum = momentum
        dtype = jnp.result_type(jnp.float32, param_dtype)
        for name, fill in zip(self._names, (0, 1), strict=True):
            setattr(self, name, nnx.BatchStat(jnp.full(shape, fill, dtype)))

    def _averages(self) -> tuple[Array, Array]:
        first, second = (getattr(self, name)[...] for name in self._names)
        return first, second

    def _update(self, batch: list[Array], seen: Array | None) -> None:
        for name, new in zip(self._names, batch, strict=True):
            average = getattr(self, name)
            old = average[...]
            value = running.mixed(old, new, self.momentum, seen).astype(old.dtype)
            average[...] = lax.stop_gradient(value)


class BatchNorm(_Averaging):
    """`normlab.norms.BatchNorm`, as ``flax.nnx.BatchNorm``.

    Variables of the features' shape: ``scale`` and ``bias``, Param; ``mean`` and
    ``var``, BatchStat. As in ``flax.nnx``, a call that does not use the running
    averages updates them; ``model.eval()`` and ``model.train()`` switch.

    Args:
      num_features: the size of x along ``axis``; a tuple for several axes.
    """

    _names = ("mean", "var")
    mean: nnx.BatchStat
    var: nnx.BatchStat

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        *,
        rngs: nnx.Rngs,
        use_running_average: bool = False,
        axis: functional.Axes = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-5,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        axis_name: str | None = None,
        axis_index_groups: Any = None,
        **affine: Any,
    ):
        shape = (num_features,) if isinstance(num_features, int) else num_features
        super().__init__(shape, momentum, param_dtype, rngs=rngs, **affine)
        self.use_running_average = use_running_average
        self.axis, self.epsilon, self.dtype = axis, epsilon, dtype
        self.axis_name, self.axis_index_groups = axis_name, axis_index_groups

    def __call__(
        self,
        x: Array,
        use_running_average: bool | None = None,
        *,
        mask: Array | None = None,
    ) -> Array:
        """Returns x normalized, of x's shape.

        ``use_running_average`` overrides the constructor's. ``mask``: as in
        `normlab.norms.BatchNorm`.
        """
        if use_running_average is None:
            use_running_average = self.use_running_average
        wide = compute_input(x, self.dtype)
        scale, bias = self._values()
        if use_running_average:
            y = functional.normalize_by(
                wide,
                *self._averages(),
                scale,
                bias,
                self.epsilon,
                axis=self.axis,
                mask=mask,
            )
        else:
            over: dict[str, Any] = {
                "axis": self.axis,
                "mask": mask,
                "axis_name": self.axis_name,
                "axis_index_groups": self.axis_index_groups,
            }
            y, *batch = functional.batch_norm(wide, scale, bias, self.epsilon, **over)
            self._update(batch, functional.seen(wide, **over))
        return y.astype(output_dtype(self.dtype, x, scale, bias))


class LpBatchNorm(_Averaging):
    """`normlab.norms.LpBatchNorm`: centres and divides by the lp norm over the batch.

    Variables, each (C,): ``scale`` and ``bias``, Param; ``mean`` and ``moment``,
    BatchStat.
    """

    _names = ("mean", "moment")
    mean: nnx.BatchStat
    moment: nnx.BatchStat

    def __init__(
        self,
        num_features: int,
        *,
        rngs: nnx.Rngs,
        p: str = "2",
        use_running_average: bool = False,
        momentum: float = 0.99,
        epsilon: float = 1e-5,
        param_dtype: Any = jnp.float32,
        **affine: Any,
    ):
        super().__init__((num_features,), momentum, param_dtype, rngs=rngs, **affine)
        self.use_running_average = use_running_average
        self.p, self.epsilon = p, epsilon

    def __call__(
        self,
        x: Array,
        use_running_average: bool | None = None,
        *,
        mask: Array | None = None,
    ) -> Array:
        """Returns x (N, ..., C) normalized; the arguments are those of `BatchNorm`."""
        if use_running_average is None:
            use_running_average = self.use_running_average
        scale, bias = self._values()
        how: tuple[Any, ...] = (scale, bias, self.p, self.epsilon)
        if use_running_average:
            y = lp.lp_normalize_by(x, *self._averages(), *how, mask=mask)
        else:
            y, *batch = lp.lp_batch_norm(x, *how, mask=mask)
            self._update(batch, functional.seen(x, mask=mask))
        return y.astype(output_dtype(None, x, scale, bias))


class GroupNorm(_Affine):
    """`normlab.norms.GroupNorm`, as ``flax.nnx.GroupNorm``, with an epsilon of 1e-5.

    Variables, each (C,): ``scale`` and ``bias``, Param.

    Args:
      num_features: C.
      num_groups: the number of groups, or None if ``group_size`` is given.
      group_size: the channels of a group.

    Raises:
      UserError (a ValueError): the groups do not divide the channels.
    """

    def __init__(
        self,
        num_features: int,
        num_groups: int | None = 32,
        group_size: int | None = None,
        *,
        rngs: nnx.Rngs,
        epsilon: float = 1e-5,
        dtype: Any = None,
        reduction_axes: functional.Axes | None = None,
        axis_name: str | None = None,
        axis_index_groups: Any = None,
        **affine: Any,
    ):
        super().__init__((num_features,), rngs=rngs, **affine)
        if (num_groups is None) == (group_size is None):
            raise UserError("give either num_groups or group_size, and None for one")
        if group_size is not None:
            functional.check_groups(group_size, num_features)
        self.num_groups = num_groups or num_features // (group_size or 1)
        functional.check_groups(self.num_groups, num_features)
        self.epsilon, self.dtype = epsilon, dtype
        self.reduction_axes = reduction_axes
        self.axis_name, self.axis_index_groups = axis_name, axis_index_groups

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Returns x (N, ..., C) normalized, of x's shape; ``mask`` as `BatchNorm`'s."""
        scale, bias = self._values()
        y, _, _ = functional.group_norm(
            compute_input(x, self.dtype),
            self.num_groups,
            scale,
            bias,
            self.epsilon,
            reduction_axes=self.reduction_axes,
            mask=mask,
            axis_name=self.axis_name,
            axis_index_groups=self.axis_index_groups,
        )
        return y.astype(output_dtype(self.dtype, x, scale, bias))


class LayerNorm(GroupNorm):
    """Layer norm over positions and channels: one group.

    ``flax.nnx.LayerNorm`` normalizes over the last axis alone; for that, give
    ``reduction_axes=-1``.
    """

    def __init__(self, num_features: int, *, rngs: nnx.Rngs, **options: Any):
        super().__init__(num_features, 1, rngs=rngs, **options)


class InstanceNorm(GroupNorm):
    """Instance norm: each channel of each example by itself."""

    def __init__(self, num_features: int, *, rngs: nnx.Rngs, **options: Any):
        super().__init__(num_features, num_features, rngs=rngs, **options)
