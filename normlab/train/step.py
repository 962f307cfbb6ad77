"""One step of training: ``step(state, batch) -> (state, metrics)``, pure."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from normlab.metrics import STEP_METRICS
from normlab.train.losses import LOSSES, accuracy
from normlab.train.state import TrainState, augment_key, noise_key

Batch = tuple[jax.Array, jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def step_metrics(task: str) -> tuple[str, ...]:
    """The metrics of a step. A regression has no accuracy."""
    scored = LOSSES[task].right is not None
    return tuple(name for name in STEP_METRICS if scored or name != "batch_accuracy")


def make_loss(model: nn.Module, task: str = "classification") -> Callable:
    """``loss(params, batch_stats, x_NHWC, targets, noise_key=None)``.

    It returns ``(loss, (outputs, stats))``. The loss is the task's loss over the batch,
    under batch statistics. ``stats`` are the running averages after this batch. A norm
    with noise draws it from ``noise_key``; without a key it adds none.

    Args:
      task: the dataset's task, a key of `normlab.train.losses.LOSSES`.
    """
    task_loss = LOSSES[task]

    def loss(params, batch_stats, x_NHWC, targets, noise_key=None):
        outputs_NK, updated = model.apply(
            {"params": params, "batch_stats": batch_stats},
            x_NHWC,
            statistics="batch",
            mutable=["batch_stats"],
            rngs={} if noise_key is None else {"noise": noise_key},
        )
        losses_N = task_loss.of_each(outputs_NK, targets)
        return task_loss.over(losses_N), (outputs_NK, updated.get("batch_stats", {}))

    return loss


def make_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    prepare: Callable[[jax.Array, jax.Array], jax.Array],
    task: str = "classification",
) -> Step:
    """The step of one member.

    Args:
      prepare: ``(key, images) -> x_NHWC float32``: standardises and augments.
      task: the dataset's task, a key of `normlab.train.losses.LOSSES`.

    Returns:
      ``step(state, (images, targets))``. Its metrics are measured on this batch, at the
      parameters *before* the update: ``batch_loss``, ``batch_accuracy`` (none in a
      regression; NaN if the loss is not finite) and ``gradient_norm`` (l2, over all
      parameters).
    """
    right = LOSSES[task].right
    loss_and_gradient = jax.value_and_grad(make_loss(model, task), has_aux=True)

    def step(state: TrainState, batch: Batch):
        images, targets = batch
        x_NHWC = prepare(augment_key(state.seed, state.step), images)
        (loss, (outputs_NK, batch_stats)), gradient = loss_and_gradient(
            state.params,
            state.batch_stats,
            x_NHWC,
            targets,
            noise_key(state.seed, state.step),
        )
        updates, opt_state = tx.update(gradient, state.opt_state, state.params)
        metrics = {"batch_loss": loss, "gradient_norm": optax.tree.norm(gradient)}
        if right is not None:
            share = jnp.mean(right(outputs_NK, targets))
            metrics["batch_accuracy"] = accuracy(share, loss)
        state = TrainState(
            step=state.step + 1,
            seed=state.seed,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
        )
        return state, metrics

    return step
