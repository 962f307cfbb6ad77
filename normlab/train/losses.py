"""The loss of a batch's outputs, by the dataset's task."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Loss(NamedTuple):
    """The loss of a task.

    Attributes:
      of_each: ``(outputs_NK, targets) -> losses_N``.
      right: ``(outputs_NK, targets) -> (N,)``, 1 if the output is right, else 0. None
        for a task without right and wrong.
      reduction: whether a set's loss is the mean or the sum over its examples.
    """

    of_each: Callable[[jax.Array, jax.Array], jax.Array]
    right: Callable[[jax.Array, jax.Array], jax.Array] | None
    reduction: Literal["mean", "sum"]

    def over(self, losses_N: jax.Array) -> jax.Array:
        """The loss over a batch, from the losses of its examples."""
        return losses_N.mean() if self.reduction == "mean" else losses_N.sum()

    def of_total(self, total: jax.Array, count: int) -> jax.Array:
        """The loss over ``count`` examples whose losses sum to ``total``."""
        return total / count if self.reduction == "mean" else total


def cross_entropy(
    logits_NK: jax.Array, labels_N: jax.Array, label_smoothing: float = 0.0
) -> jax.Array:
    """Cross-entropy in nats: (N, K), (N,) -> (N,) of the logits' dtype.

    ``labels_N`` are whole numbers of any type, from 0 to K - 1; the loss of any other
    is NaN. With ``label_smoothing`` s, from 0 to below 1, the label's distribution is
    ``(1 - s) label + s / K`` (Szegedy et al. 2016, section 7).
    """
    # optax.softmax_cross_entropy_with_integer_labels picks the label's logit. The
    # gradient of that is a scatter, which XLA fuses with nothing.
    classes, dtype = logits_NK.shape[-1], logits_NK.dtype
    label_NK = jax.nn.one_hot(labels_N.astype(jnp.int32), classes, dtype=dtype)
    is_class_N = label_NK.any(-1)
    if label_smoothing:
        label_NK = optax.smooth_labels(label_NK, label_smoothing)
    losses_N = optax.safe_softmax_cross_entropy(logits_NK, label_NK)
    return jnp.where(is_class_N, losses_N, jnp.nan)


def is_argmax(logits_NK: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Whether the label has the largest logit."""
    return jnp.argmax(logits_NK, -1) == labels_N.astype(jnp.int32)


def accuracy(share: jax.Array, loss: jax.Array) -> jax.Array:
    """The ``share`` of right examples; NaN if their ``loss`` is not finite.

    If the logits are NaN, argmax returns class 0, so the share alone would be that of
    class 0. 0 times infinity is NaN as well. A finite loss never gives NaN here, which
    ``jax_debug_nans`` would report.
    """
    return share + 0 * loss


def squared_error(outputs_NK: jax.Array, targets_NK: jax.Array) -> jax.Array:
    """``||output - target||^2``, summed over the K outputs."""
    return jnp.square(outputs_NK - targets_NK).sum(-1)


# A regression's loss is a sum over examples, so its gradient, and the learning rate
# that suits it, depend on the batch size. Only Santurkar et al.'s (2018) deep linear
# network uses it. They do not state whether they sum or average. With 1000 samples and
# a learning rate of 1e-6 their loss starts at 3.5e4. A mean would start a thousand
# times lower and hardly move; half the sum would start too low or fall too slowly
# (experiments/santurkar_dln.flags).
LOSSES: dict[str, Loss] = {
    "classification": Loss(cross_entropy, is_argmax, "mean"),
    "regression": Loss(squared_error, None, "sum"),
}


def training_loss(task: str, label_smoothing: float = 0.0) -> Loss:
    """The loss that training minimises, and that quantities measure.

    It is the task's loss, of smoothed labels if ``label_smoothing`` is above 0.

    Args:
      task: a key of `LOSSES`; without labels, it cannot be smoothed.
      label_smoothing: from 0 to below 1, see `cross_entropy`.
    """
    loss = LOSSES[task]
    if not label_smoothing:
        return loss
    smoothed = functools.partial(cross_entropy, label_smoothing=label_smoothing)
    return loss._replace(of_each=smoothed)
