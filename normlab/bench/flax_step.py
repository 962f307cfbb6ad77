"""A training step with Flax's own layers, shared by the Flax peers."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from normlab.bench.contender import Contender
from normlab.bench.task import Task, held_bytes, standardised_NHWC
from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.train.precision import products_in


class LinenNetwork(nn.Module):
    """`normlab.models.small_cnn` from ``flax.linen``'s layers: ``lax.conv`` inside."""

    config: CellConfig
    classes: int

    @nn.compact
    def __call__(self, x_NHWC: jax.Array) -> jax.Array:
        """Logits (N, classes), under batch statistics."""
        x = x_NHWC
        for i, features in enumerate((16, 32), start=1):
            x = nn.Conv(features, (3, 3), name=f"conv{i}")(x)
            x = nn.relu(self._norm(f"norm{i}", x))
            x = _max_pool_2x2(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(256, name="dense1")(x))
        return nn.Dense(self.classes, name="dense2")(x)

    def _norm(self, name: str, x: jax.Array) -> jax.Array:
        config = self.config
        if config.norm == "batch":
            return nn.BatchNorm(
                use_running_average=False,
                momentum=config.norm_momentum,
                epsilon=config.epsilon,
                name=name,
            )(x)
        if config.norm == "group":
            layer = nn.GroupNorm(config.groups, epsilon=config.epsilon, name=name)
            return layer(x)
        if config.norm == "none":
            return x
        raise NotImplementedError(f"no norm {config.norm} here")


def _max_pool_2x2(x_NHWC: jax.Array) -> jax.Array:
    """Like ``nn.max_pool``, whose slow gradient would double the time of a step."""
    n, height, width, channels = x_NHWC.shape
    if height % 2 or width % 2:
        raise NotImplementedError(f"no padded pool for {height}x{width}")
    return x_NHWC.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


class State(NamedTuple):
    """Of one member; its learning rate is in ``opt_state``."""

    params: Any
    batch_stats: Any
    opt_state: Any


def make_step(task: Task) -> Callable:
    """``step(state, picked_B, images, labels) -> (state, loss)``, pure.

    ``picked_B`` (int32) picks the batch from ``images`` (float32 NHWC, standardised
    beforehand) and ``labels`` (int32).

    Raises:
      NotImplementedError: the task is not the report's network with Adam, or it is in
        bfloat16.
    """
    config = task.config
    asked = config.model, config.optimizer, config.precision
    if asked[:2] != ("small_cnn", "adam") or asked[2] == "bfloat16":
        raise NotImplementedError(f"plain Flax is not written for {', '.join(asked)}")
    model, tx = _model(task), _adam()

    def step(state: State, picked_B, images, labels):
        def loss_of(params):
            logits, updated = model.apply(
                {"params": params, "batch_stats": state.batch_stats},
                images[picked_B],
                mutable=["batch_stats"],
            )
            losses_B = optax.softmax_cross_entropy_with_integer_labels(
                logits, labels[picked_B]
            )
            return losses_B.mean(), updated.get("batch_stats", {})

        (loss, stats), gradient = jax.value_and_grad(loss_of, has_aux=True)(
            state.params
        )
        updates, opt_state = tx.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, stats, opt_state), loss

    return products_in(task.config.precision, step)


def initial_state(task: Task, lr: float) -> State:
    """A member of learning rate ``lr`` before its first step, on the host."""
    images = jnp.zeros((1, *task.dataset.image_shape), jnp.float32)
    shapes = jax.eval_shape(_model(task).init, jax.random.key(0), images)
    # Linen starts running means at zero and running variances at one.
    stats = {
        norm: {
            k: np.full(v.shape, k == "var", np.float32) for k, v in variables.items()
        }
        for norm, variables in shapes.get("batch_stats", {}).items()
    }
    opt_state: Any = _adam().init(task.initial_params)
    hyperparams = {**opt_state.hyperparams, "learning_rate": np.float32(lr)}
    opt_state = opt_state._replace(hyperparams=hyperparams)
    return jax.tree.map(np.asarray, State(task.initial_params, stats, opt_state))


@lru_cache(maxsize=1)
def on_device(dataset: Dataset) -> tuple[jax.Array, jax.Array]:
    """(standardised images, float32 NHWC; labels, int32), shared by the Flax peers."""
    images = jnp.asarray(standardised_NHWC(dataset))
    return images, jnp.asarray(dataset.train_y.astype(np.int32))


def python_loop(task: Task, step: Callable, starts: Sequence[State]) -> Contender:
    """A contender that calls the jitted ``step`` once for every batch.

    The state is donated, and losses stay on the device until the end, so Python never
    waits during a run.

    Args:
      task: the task.
      step: a step from `make_step`, possibly vmapped over members.
      starts: the initial state of every part, on the host.
    """
    images, labels = on_device(task.dataset)
    batches = [jnp.asarray(picked_B) for picked_B in task.batches]
    begun = time.perf_counter()
    jitted = jax.jit(step, donate_argnums=0)
    compiled = jitted.lower(starts[0], batches[0], images, labels).compile()
    seconds = time.perf_counter() - begun
    held: list[State] = []  # the current state, at most one

    def reset(part: int) -> None:
        held[:] = [jax.block_until_ready(jax.tree.map(jnp.array, starts[part]))]

    def train(steps: int) -> np.ndarray:
        state, losses = held.pop(), []
        for picked_B in batches[:steps]:
            state, loss = compiled(state, picked_B, images, labels)
            losses.append(loss)
        held.append(jax.block_until_ready(state))
        return np.stack(jax.device_get(losses), axis=-1).reshape(-1, steps)

    return Contender(
        reset=reset,
        train=train,
        parts=len(starts),
        compile_seconds=lambda: seconds,
        memory=lambda: held_bytes(compiled, images.nbytes + labels.nbytes),
    )


def _model(task: Task) -> LinenNetwork:
    return LinenNetwork(task.config, len(task.dataset.classes))


def _adam() -> optax.GradientTransformationExtraArgs:
    return optax.inject_hyperparams(optax.adam)(learning_rate=0.0)
