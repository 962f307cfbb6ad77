"""What a batch's outputs cost, by the dataset's task."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Loss(NamedTuple):
    """The loss of a task.

    Attributes:
      of_each: ``(outputs_NK, targets) -> losses_N``.
      right: ``(outputs_NK, targets) -> (N,)``, 1 where the output is right, else 0.
        None for a task without right and wrong.
      reduction: whether the loss over a set is the mean or the sum over its examples.
    """

    of_each: Callable[[jax.Array, jax.Array], jax.Array]
    right: Callable[[jax.Array, jax.Array], jax.Array] | None
    reduction: Literal["mean", "sum"]

    def over(self, losses_N: jax.Array) -> jax.Array:
        """The loss over a batch, of the losses of its examples."""
        return losses_N.mean() if self.reduction == "mean" else losses_N.sum()

    def of_total(self, total: jax.Array, count: int) -> jax.Array:
        """The loss over ``count`` examples whose losses add up to ``total``."""
        return total / count if self.reduction == "mean" else total


def cross_entropy(logits_NK: jax.Array, labels_N: jax.Array) -> jax.Array:
    """In nats; ``labels_N`` are whole numbers of any type."""
    return optax.softmax_cross_entropy_with_integer_labels(
        logits_NK, labels_N.astype(jnp.int32)
    )


def is_argmax(logits_NK: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Whether the largest logit is that of the label."""
    return jnp.argmax(logits_NK, -1) == labels_N.astype(jnp.int32)


def accuracy(share: jax.Array, loss: jax.Array) -> jax.Array:
    """The ``share`` of examples that are right; NaN if their ``loss`` is not finite.

    The largest of logits that are NaN is the first, so the share alone would be that of
    class 0. 0 times infinity is NaN, too. Nothing here is NaN that need not be: JAX's
    ``jax_debug_nans`` would stop there.
    """
    return share + 0 * loss


def squared_error(outputs_NK: jax.Array, targets_NK: jax.Array) -> jax.Array:
    """``||output - target||^2``, summed over the K outputs."""
    return jnp.square(outputs_NK - targets_NK).sum(-1)


# A regression's loss is a sum over the examples, so its gradient, and the learning rate
# that suits it, depend on the batch size. It is the loss of the one regression here:
# Santurkar et al. 2018 state neither sum nor mean for their deep linear network, but
# with 1000 samples and a learning rate of 1e-6 it starts at 3.5e4. A mean would start a
# thousand times lower and hardly move; half the sum starts too low or falls too slowly
# (experiments/santurkar_dln.flags).
LOSSES: dict[str, Loss] = {
    "classification": Loss(cross_entropy, is_argmax, "mean"),
    "regression": Loss(squared_error, None, "sum"),
}
