"""One step of training: ``step(state, batch) -> (state, metrics)``, pure."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from normlab.metrics import STEP_METRICS
from normlab.train.losses import LOSSES, Loss, accuracy
from normlab.train.optimizers import make_update
from normlab.train.schedules import Rate, make_rate
from normlab.train.state import TrainState, augment_key, noise_key

Batch = tuple[jax.Array, jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]
_CONSTANT = make_rate("constant", 0)


def step_metrics(task: str) -> tuple[str, ...]:
    """The metrics of a step. A regression has no accuracy."""
    scored = LOSSES[task].right is not None
    return tuple(name for name in STEP_METRICS if scored or name != "batch_accuracy")


def make_loss(model: nn.Module, loss: Loss = LOSSES["classification"]) -> Callable:
    """``loss(params, batch_stats, x_NHWC, targets, noise_key=None)``.

    It returns ``(loss, (outputs, stats))``. The loss is that over the batch, under
    batch statistics. ``stats`` are the running averages after this batch. A norm with
    noise draws it from ``noise_key``; without a key it adds none.

    Args:
      loss: the training loss, from `normlab.train.losses.training_loss`.
    """

    def of_batch(params, batch_stats, x_NHWC, targets, noise_key=None):
        outputs_NK, updated = model.apply(
            {"params": params, "batch_stats": batch_stats},
            x_NHWC,
            statistics="batch",
            mutable=["batch_stats"],
            rngs={} if noise_key is None else {"noise": noise_key},
        )
        losses_N = loss.of_each(outputs_NK, targets)
        return loss.over(losses_N), (outputs_NK, updated.get("batch_stats", {}))

    return of_batch


def make_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    prepare: Callable[[jax.Array, jax.Array], jax.Array],
    loss: Loss = LOSSES["classification"],
    *,
    rate: Rate = _CONSTANT,
    accumulate: int = 1,
) -> Step:
    """The step of one member.

    Args:
      prepare: ``(key, images) -> x_NHWC float32``: standardises and augments.
      loss: the training loss, from `normlab.train.losses.training_loss`.
      rate: the schedule, from `normlab.train.schedules.make_rate`.
      accumulate: the number of parts of a batch, see `in_parts`.

    Returns:
      ``step(state, (images, targets))``. Its metrics are measured on this batch, at the
      parameters *before* the update: ``batch_loss``, ``batch_accuracy`` (none in a
      regression; NaN if the loss is not finite) and ``gradient_norm`` (l2, over all
      parameters, before it is clipped). ``lr_step`` is the learning rate of the update.
    """
    right = loss.right
    loss_and_gradient = jax.value_and_grad(make_loss(model, loss), has_aux=True)
    update = make_update(tx, rate)
    loss_and_gradient = in_parts(loss_and_gradient, accumulate, loss.reduction)

    def step(state: TrainState, batch: Batch):
        images, targets = batch
        x_NHWC = prepare(augment_key(state.seed, state.step), images)
        (value, (outputs_NK, batch_stats)), gradient = loss_and_gradient(
            state.params,
            state.batch_stats,
            x_NHWC,
            targets,
            noise_key(state.seed, state.step),
        )
        updates, opt_state, lr = update(
            gradient, state.opt_state, state.params, state.step
        )
        metrics = {
            "batch_loss": value,
            "gradient_norm": optax.tree.norm(gradient),
            "lr_step": lr,
        }
        if right is not None:
            share = jnp.mean(right(outputs_NK, targets))
            metrics["batch_accuracy"] = accuracy(share, value)
        state = TrainState(
            step=state.step + 1,
            seed=state.seed,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
        )
        return state, metrics

    return step


def in_parts(loss_and_gradient: Callable, parts: int, reduction: str) -> Callable:
    """``loss_and_gradient`` of a batch, computed in ``parts`` one after the other.

    Only one part is in memory at a time. Each part is a batch of its own to the
    network: it is normalized with its own statistics, the running averages move once
    for each part, and a norm's noise is drawn for each. The loss and the gradient are
    the means over the parts, or their sums if ``reduction`` is ``sum``.

    Args:
      loss_and_gradient: ``(params, batch_stats, x_NHWC, targets, noise_key) -> ((loss,
        (outputs, batch_stats)), gradient)``.
      parts: a divisor of the batch size; 1 changes nothing.
    """
    if parts == 1:
        return loss_and_gradient

    def split(x: jax.Array) -> jax.Array:
        return x.reshape(parts, -1, *x.shape[1:])

    def of_batch(params, batch_stats, x_NHWC, targets, key: jax.Array):
        def body(carry, part):
            stats, sums = carry
            x, y, number = part
            noise = jax.random.fold_in(key, number)
            (value, (outputs, stats)), gradient = loss_and_gradient(
                params, stats, x, y, noise
            )
            return (stats, optax.tree.add(sums, (value, gradient))), outputs

        start = batch_stats, (jnp.zeros(()), optax.tree.zeros_like(params))
        inputs = split(x_NHWC), split(targets), jnp.arange(parts)
        (stats, sums), outputs = jax.lax.scan(body, start, inputs)
        if reduction == "mean":
            sums = optax.tree.scale(1 / parts, sums)
        value, gradient = sums
        outputs_NK = outputs.reshape(-1, *outputs.shape[2:])
        return (value, (outputs_NK, stats)), gradient

    return of_batch
