"""Refuses blocks of a single value, which leave a norm nothing to normalise.

One value is its own mean, so the output is the bias, whatever the input. The network
after it would be constant, and would train on as if nothing were wrong.
"""

import flax.linen as nn
from jax import Array

from normlab.errors import UserError
from normlab.norms import functional


def refuse_single_batch(layer: nn.Module, x: Array) -> None:
    """Refuses a channel with one value, for a norm over the batch of x (N, ..., C).

    Raises UserError unless ``layer`` is initializing, for which one image is enough.
    """
    if x.size == x.shape[-1] and not layer.is_initializing():
        raise _nothing(
            "a channel of one image at one pixel",
            "more images a batch (--batch_size, --eval_batch_size, --probe_images or "
            "--batch), or another norm",
        )


def refuse_single_groups(x: Array, groups: int, fewer: bool = True) -> None:
    """Refuses a group with one value, for a norm of x (N, ..., C) by ``groups`` groups.

    Raises UserError, also if the groups do not divide the channels.

    Args:
      fewer: whether the norm has a setting for the number of groups.
    """
    functional.check_groups(groups, x.shape[-1])
    if x.size and x.size == x.shape[0] * groups:
        dense = ", or no --norm_dense" if x.ndim == 2 else ""
        block, instead = "a channel of one image at one pixel", "another norm"
        if fewer and groups > 1:
            block = f"each of the {groups} groups, a single channel at one pixel,"
            instead = "fewer groups, or another norm"
        raise _nothing(block, f"{instead}{dense}")


def _nothing(block: str, instead: str) -> UserError:
    return UserError(
        f"{block} has one value, which is its own mean: that leaves nothing to "
        f"normalise; use {instead}"
    )
