"""Many steps under one jit. How many is an argument, so no count recompiles."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from normlab.metrics import STEP_METRICS
from normlab.train.state import TrainState
from normlab.train.step import Step


def make_call(step: Step, names: Sequence[str] = STEP_METRICS) -> Callable:
    """``call(state, indices_KB, count, data) -> (state, metrics)``.

    K is ``call_steps``, here and wherever an array has the suffix. A call uses the
    first ``count`` of the K batches. One compiled program works for every ``count`` up
    to K, so stops for evaluation need no compilation.

    Args:
      step: a step from `normlab.train.step.make_step`.
      names: the names of its metrics.

    Returns:
      A function of one member. ``indices_KB`` (int32) picks the images of each
      step from ``train_x`` (N, H, W, C; uint8) and ``train_y`` (N). Each metric is
      float32 (K,); entries from ``count`` on are not measured.
    """

    def call(state: TrainState, indices_KB, count, data: dict):
        images, targets = data["train_x"], data["train_y"]
        call_steps = indices_KB.shape[0]
        # One array for all metrics: one write a step instead of one for each.
        empty = jnp.zeros((call_steps, len(names)), jnp.float32)

        def body(k, carry):
            state, table = carry
            picked_B = indices_KB[k]
            state, metrics = step(state, (images[picked_B], targets[picked_B]))
            row = jnp.stack([metrics[name] for name in names]).astype(jnp.float32)
            return state, lax.dynamic_update_index_in_dim(table, row, k, 0)

        state, table = lax.fori_loop(0, count, body, (state, empty))
        return state, dict(zip(names, table.T, strict=True))

    return call


def of_one_seed(call: Callable) -> Callable:
    """``call`` of several members that have one seed and are at the same step.

    They see the same images, so images are picked, standardised and augmented once for
    all of them, and the first layer's product is one product. What depends on the seed
    and the step alone has no member axis inside.

    Returns:
      A function of the same arguments as `make_call`'s, with a leading member axis on
      the state and the indices, and on all results.
    """
    axes: Any = TrainState(None, None, 0, 0, 0)  # type: ignore[arg-type]
    inner = jax.vmap(call, in_axes=(axes, None, None, None), out_axes=(axes, 0))

    def of_all(state: TrainState, indices_MKB, count, data: dict):
        members = state.step.shape[0]
        one = replace(state, step=state.step[0], seed=state.seed[0])
        after, metrics = inner(one, indices_MKB[0], count, data)
        step = jnp.broadcast_to(after.step, members)
        return replace(after, step=step, seed=state.seed), metrics

    return of_all
