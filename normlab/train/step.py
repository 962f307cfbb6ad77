"""One step of training: ``step(state, batch) -> (state, metrics)``, pure."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from normlab.train.state import TrainState, augment_key

Batch = tuple[jax.Array, jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]

STEP_METRICS = ("batch_loss", "batch_accuracy", "gradient_norm")


def make_loss(model: nn.Module) -> Callable:
    """``loss(params, batch_stats, x_NHWC, labels_N) -> (loss, (logits, stats))``.

    The loss is the mean cross-entropy, in nats, under batch statistics; ``stats``
    are the running averages after this batch.
    """

    def loss(params, batch_stats, x_NHWC, labels_N):
        logits_NK, updated = model.apply(
            {"params": params, "batch_stats": batch_stats},
            x_NHWC,
            statistics="batch",
            mutable=["batch_stats"],
        )
        losses_N = optax.softmax_cross_entropy_with_integer_labels(logits_NK, labels_N)
        return losses_N.mean(), (logits_NK, updated.get("batch_stats", {}))

    return loss


def make_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    prepare: Callable[[jax.Array, jax.Array], jax.Array],
) -> Step:
    """The step of one member.

    Args:
      prepare: ``(key, x_NHWC uint8) -> x_NHWC float32``: standardises and augments.

    Returns:
      ``step(state, (x_NHWC uint8, labels_N))``. Its metrics are those at the
      parameters *before* the update, on this batch: ``batch_loss`` (nats),
      ``batch_accuracy`` and ``gradient_norm`` (l2, over all parameters).
    """
    loss_and_gradient = jax.value_and_grad(make_loss(model), has_aux=True)

    def step(state: TrainState, batch: Batch):
        images, labels_N = batch
        x_NHWC = prepare(augment_key(state.seed, state.step), images)
        labels_N = labels_N.astype(jnp.int32)
        (loss, (logits_NK, batch_stats)), gradient = loss_and_gradient(
            state.params, state.batch_stats, x_NHWC, labels_N
        )
        updates, opt_state = tx.update(gradient, state.opt_state, state.params)
        metrics = {
            "batch_loss": loss,
            "batch_accuracy": jnp.mean(jnp.argmax(logits_NK, -1) == labels_N),
            "gradient_norm": optax.tree.norm(gradient),
        }
        state = TrainState(
            step=state.step + 1,
            seed=state.seed,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
        )
        return state, metrics

    return step
