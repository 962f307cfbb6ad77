"""Loss and accuracy over every image, whatever the batch size."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax


def in_batches(values: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """(N, ...) -> (T, B, ...) padded with zeros, and the (T, B) mask of real rows."""
    n = values.shape[0]
    count = -(-n // batch_size)
    pads = [(0, count * batch_size - n)] + [(0, 0)] * (values.ndim - 1)
    mask = jnp.arange(count * batch_size) < n
    shape = (count, batch_size, *values.shape[1:])
    return jnp.pad(values, pads).reshape(shape), mask.reshape(shape[:2])


def make_evaluate(
    model: nn.Module,
    standardize: Callable[[jax.Array], jax.Array],
    *,
    batch_size: int,
    statistics: str,
) -> Callable:
    """``evaluate(params, batch_stats, images, labels) -> (loss, accuracy)``.

    Means over all N images: the last batch is padded, and the padding is masked
    out of the sums and of batch statistics.

    Args:
      standardize: uint8 images -> float32.
      batch_size: images at a time; it changes no result under "running".
      statistics: ``"running"``, or ``"batch"`` for those of the evaluation batch.
    """

    def evaluate(params, batch_stats, images, labels):
        n = images.shape[0]
        size = min(batch_size, n)

        def body(sums, batch):
            x_NHWC, labels_N, mask_N = batch
            logits_NK: Any = model.apply(
                {"params": params, "batch_stats": batch_stats},
                standardize(x_NHWC),
                statistics=statistics,
                mask=mask_N[:, None, None, None],
            )
            labels_N = labels_N.astype(jnp.int32)
            losses_N = optax.softmax_cross_entropy_with_integer_labels(
                logits_NK, labels_N
            )
            right_N = jnp.argmax(logits_NK, -1) == labels_N
            loss_sum, right_sum = sums
            # where, not a product: 0 x inf of a padded row would be NaN.
            loss_sum += jnp.where(mask_N, losses_N, 0).sum()
            right_sum += (right_N & mask_N).sum()
            return (loss_sum, right_sum), None

        x, mask = in_batches(images, size)
        y, _ = in_batches(labels, size)
        start = (jnp.zeros((), jnp.float32), jnp.zeros((), jnp.int32))
        (loss, right), _ = jax.lax.scan(body, start, (x, y, mask))
        return loss / n, right.astype(jnp.float32) / n

    return evaluate
