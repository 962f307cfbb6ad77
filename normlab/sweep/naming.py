"""Names the members whose numbers JAX's checks for NaN object to."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from normlab.cell import Member
from normlab.errors import one_line
from normlab.members.over import OverMembers, nan_is_a_result


@contextlib.contextmanager
def naming(
    members: Sequence[Member], step: int, function: OverMembers, inputs: tuple
) -> Iterator[None]:
    """Inside this context, an error of JAX's checks for NaN names the members.

    Raises:
      FloatingPointError: JAX found NaN or infinity in what ``function`` returns for
        ``inputs``.
    """
    try:
        yield
    except FloatingPointError as error:
        with nan_is_a_result():
            results = jax.device_get(function(*inputs))
        lost = _not_finite(results, len(members))
        found = [members[i] for i in lost]
        names = "; ".join(f"seed {one.seed}, lr {one.lr:g}" for one in found)
        said = one_line(error).rstrip(".")
        raise FloatingPointError(
            f"{said}, after step {step}, in the network of {names}. "
            "Without JAX_DEBUG_NANS and JAX_DEBUG_INFS the cell trains on. A "
            "smaller learning rate may keep it finite"
        ) from error


def _not_finite(results: Any, count: int) -> np.ndarray:
    """The members, of ``count``, with a NaN in their results; if none, an infinity."""
    leaves = [
        x for x in jax.tree.leaves(results) if np.issubdtype(x.dtype, np.floating)
    ]
    for check in (np.isnan, np.isinf):
        rows = [check(leaf).reshape(len(leaf), -1).any(1)[:count] for leaf in leaves]
        if (bad := np.logical_or.reduce(rows)).any():
            return np.flatnonzero(bad)
    return np.arange(count)
