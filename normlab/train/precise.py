"""Precise batch norm: population statistics with fixed parameters."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from normlab.train.evaluate import check_last, in_batches, noise_rngs


def _averaged(stats: Any) -> dict:
    return {path: v for path, v in flatten_dict(stats).items() if path[-1] != "var"}


def _within(stats: Any) -> dict:
    return {
        (*path[:-1], "mean"): v
        for path, v in flatten_dict(stats).items()
        if path[-1] == "var"
    }


def make_precise_statistics(
    model: nn.Module,
    standardize: Callable[[jax.Array], jax.Array],
    *,
    batch_size: int,
    noise: bool = False,
) -> Callable:
    """``precise(params, batch_stats, images, without) -> batch_stats`` over the images.

    Images whose numbers are in ``without`` are left out; by default, none are.

    Each layer sees inputs normalised by batch statistics, as in training. Batch means
    are averaged, and variances are combined by the law of total variance, with each
    batch weighted by its size (Wu & Johnson 2021, "Rethinking Batch in BatchNorm",
    section 3). So the result is exact at the first norm, whatever the batch size.

    Statistics with other names are averaged like means. This is exact for the moments
    of an lp norm, too. A maximum (p = inf) grows with the batch and has no population
    value: the result is the mean over these batches.

    Args:
      model: a model with a norm momentum of 0, so that the running averages after a
        batch are the statistics of that batch.
      standardize: uint8 images -> float32.
      batch_size: images at a time.
      noise: whether norms with noise add it, as the later evaluation will.
    """

    def precise(params, batch_stats, images, without=None):
        size = min(batch_size, images.shape[0])
        variables = {"params": params, "batch_stats": batch_stats}
        check_last(model, standardize, variables, images, size)
        x, mask = in_batches(images, size)
        if without is not None:
            kept = jnp.ones(len(images), bool).at[without].set(False)
            mask = mask & in_batches(kept, size)[0]

        def body(carry, batch):
            seen, mean, within, between = carry
            x_NHWC, mask_N, number = batch
            _, updated = model.apply(
                variables,
                standardize(x_NHWC),
                statistics="batch",
                mask=mask_N[:, None, None, None],
                mutable=["batch_stats"],
                rngs=noise_rngs(noise, number),
            )
            count = mask_N.sum().astype(jnp.float32)
            total = seen + count
            found_mean = _averaged(updated["batch_stats"])
            found_var = _within(updated["batch_stats"])
            # Chan, Golub & LeVeque's pairwise update: no mean of squares, so a
            # mean far from zero costs no precision.
            step = {k: found_mean[k] - mean[k] for k in mean}
            within = {k: within[k] + count * found_var[k] for k in within}
            between = {
                k: between[k] + jnp.square(step[k]) * (count * seen / total)
                for k in between
            }
            mean = {k: mean[k] + step[k] * (count / total) for k in mean}
            return (total, mean, within, between), None

        averages, squares = (
            jax.tree.map(jnp.zeros_like, of(batch_stats)) for of in (_averaged, _within)
        )
        start = (jnp.zeros(()), averages, squares, squares)
        batches = (x, mask, jnp.arange(len(x)))
        (total, mean, within, between), _ = jax.lax.scan(body, start, batches)
        var = {(*k[:-1], "var"): (within[k] + between[k]) / total for k in within}
        return unflatten_dict({**mean, **var})

    return precise
