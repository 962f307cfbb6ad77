"""A cell's network: its model, its norm, and how it sees images."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.data.transform import augment, feature_statistics, standardize
from normlab.models import make_model
from normlab.norms import Norm, make_norm
from normlab.settings import NormSettings, named
from normlab.train.losses import Loss, training_loss
from normlab.train.precision import layer_dtype
from normlab.train.state import init_variables


@dataclass(frozen=True)
class Network:
    """The network that a cell trains, evaluates and measures.

    Attributes:
      name: the model's name, for messages.
      model: the Linen module, with ``norm``.
      norm: its norm.
      task: the dataset's task, a key of `normlab.train.losses.LOSSES`.
      image_shape: (H, W, C) of one image.
      scale: images -> x_NHWC float32, standardised.
      prepare: ``(key, images) -> x_NHWC``: standardised and augmented.
      label_smoothing: how much the labels of the training loss are smoothed.
    """

    name: str
    model: Any
    norm: Norm
    task: str
    image_shape: tuple[int, int, int]
    scale: Callable[[jax.Array], jax.Array]
    prepare: Callable[[jax.Array, jax.Array], jax.Array]
    label_smoothing: float = 0.0

    @property
    def loss(self) -> Loss:
        """The training loss, which quantities measure, too. Evaluations do not."""
        return training_loss(self.task, self.label_smoothing)

    def with_norm(self, norm: Any) -> nn.Module:
        """The model with another norm instead of its own."""
        return self.model.clone(norm=norm)

    def without_memory(self) -> nn.Module:
        """The model whose running averages are those of the latest batch alone."""
        options = dataclasses.replace(self.norm.options, norm_momentum=0.0)
        return self.with_norm(dataclasses.replace(self.norm, options=options))

    def initial(self, seed: jax.Array) -> Any:
        """The variables before the first step. They depend only on the seed."""
        return init_variables(self.model, self.image_shape, seed)


def build_network(
    config: CellConfig, dataset: Dataset, *, conv: str = "patches"
) -> Network:
    """The network of a cell, for the training images in ``dataset``.

    Args:
      conv: the form of the convolutions, a name in `normlab.models.CONVS`. It changes
        the speed, and results only by rounding.

    Raises:
      UserError: the model, the norm or the initialiser is unknown.
    """
    model = build_model(config, len(dataset.classes), conv=conv)
    scale, prepare = _preparation(dataset, config.standardize, config.augment)
    return Network(
        config.model,
        model,
        model.norm,
        dataset.task,
        dataset.image_shape,
        scale,
        prepare,
        config.label_smoothing,
    )


def build_model(config: CellConfig, classes: int, *, conv: str = "patches") -> Any:
    """The cell's Linen module, with ``classes`` outputs."""
    return make_model(
        config.model,
        norm=build_norm(config),
        width=config.width,
        init=config.init,
        classes=classes,
        conv=conv,
        dtype=layer_dtype(config.precision),
    )


def build_norm(config: CellConfig) -> Norm:
    """The cell's norm.

    Raises:
      UserError: the norm is unknown.
    """
    return make_norm(
        config.norm, **{k: getattr(config, k) for k in named(NormSettings)}
    )


def _preparation(
    dataset: Dataset, standardization: str, augmentation: str
) -> tuple[Callable, Callable]:
    """(images -> x_NHWC standardised, (key, images) -> x_NHWC augmented as well)."""
    mean, std = feature_statistics(dataset.train_x, standardization)
    scale = partial(standardize, mean=jnp.asarray(mean), std=jnp.asarray(std))

    def prepare(key: jax.Array, x_NHWC: jax.Array) -> jax.Array:
        return augment(key, scale(x_NHWC), augmentation)

    return scale, prepare
