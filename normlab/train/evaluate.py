"""Loss and accuracy over every image, whatever the batch size."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.errors import UserError
from normlab.models import backend
from normlab.train.losses import LOSSES, accuracy
from normlab.words import counted

# So many images at a time keep activations in the cache of a CPU's core.
_IN_CACHE = 25


def in_batches(values: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """(N, ...) -> (T, B, ...) padded with zeros, and the (T, B) mask of real rows."""
    n = values.shape[0]
    count = -(-n // batch_size)
    pads = [(0, count * batch_size - n)] + [(0, 0)] * (values.ndim - 1)
    mask = jnp.arange(count * batch_size) < n
    shape = (count, batch_size, *values.shape[1:])
    return jnp.pad(values, pads).reshape(shape), mask.reshape(shape[:2])


def check_last(
    model: nn.Module, standardize: Callable, variables: Any, images: Any, size: int
) -> None:
    """Raises UserError if the last batch of ``images`` is too small for a norm.

    The last batch is padded to the ``size`` of the others, so norms cannot see from its
    shape that it has only one image.
    """
    if len(images) % size != 1:
        return
    image = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    try:
        jax.eval_shape(
            lambda x: model.apply(variables, standardize(x), statistics="batch"), image
        )
    except UserError as error:
        raise UserError(
            f"the last of {counted(len(images), 'image')} is alone in its batch of "
            f"{size}: {error}"
        ) from error


def noise_rngs(noise: bool, batch: jax.Array) -> dict[str, jax.Array]:
    """The rngs of evaluation batch number ``batch``: always the same noise, or none."""
    return {"noise": jax.random.fold_in(jax.random.key(0), batch)} if noise else {}


def make_evaluate(
    model: nn.Module,
    standardize: Callable[[jax.Array], jax.Array],
    *,
    batch_size: int,
    statistics: str,
    task: str = "classification",
    noise: bool = False,
    by_example: bool = False,
) -> Callable:
    """``evaluate(params, batch_stats, images, targets) -> (loss, accuracy)``.

    It evaluates all N images. The last batch is padded, and sums and batch statistics
    leave the padding out. The accuracy is NaN if the loss is not finite, and None in a
    regression.

    Args:
      standardize: images -> float32.
      batch_size: images at a time.
      statistics: ``"running"``, or ``"batch"`` for those of the evaluation batch.
      task: the dataset's task, a key of `normlab.train.losses.LOSSES`.
      noise: whether norms with noise add it here, too, the same in every evaluation.
      by_example: whether the output for an image depends on that image alone. Batches
        change no result then, so on a CPU they are small.
    """
    task_loss = LOSSES[task]

    def evaluate(params, batch_stats, images, targets):
        n = images.shape[0]
        in_cache = _IN_CACHE if by_example and backend.is_cpu() else n
        size = min(batch_size, n, in_cache)
        variables = {"params": params, "batch_stats": batch_stats}
        if statistics == "batch":
            check_last(model, standardize, variables, images, size)

        def body(sums, batch):
            x_NHWC, targets, mask_N, number = batch
            outputs_NK: Any = model.apply(
                variables,
                standardize(x_NHWC),
                statistics=statistics,
                # A mask costs norms time. Only other rows could notice the padding.
                mask=None
                if by_example or n % size == 0
                else mask_N[:, None, None, None],
                rngs=noise_rngs(noise, number),
            )
            per_image = {"loss": task_loss.of_each(outputs_NK, targets)}
            if task_loss.right is not None:
                right_N = task_loss.right(outputs_NK, targets)
                per_image["right"] = right_N.astype(jnp.float32)
            # where, not a product: 0 x inf of a padded row would be NaN.
            return {
                name: sums[name] + jnp.where(mask_N, values_N, 0).sum()
                for name, values_N in per_image.items()
            }, None

        x, mask = in_batches(images, size)
        y, _ = in_batches(targets, size)
        numbers = jnp.arange(len(x))
        names = ("loss",) if task_loss.right is None else ("loss", "right")
        start = {name: jnp.zeros((), jnp.float32) for name in names}
        sums, _ = jax.lax.scan(body, start, (x, y, mask, numbers))
        loss = task_loss.of_total(sums["loss"], n)
        return loss, accuracy(sums["right"] / n, loss) if "right" in sums else None

    return evaluate
