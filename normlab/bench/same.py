"""Checks that all contenders compute the same, by comparing their losses."""

from collections.abc import Mapping

import numpy as np

from normlab.errors import UserError

# The loss at the start, after one update and after ten.
_AFTER = (0, 1, 10)


def loss_gaps(losses: Mapping[str, np.ndarray], tolerance: float) -> dict[str, float]:
    """The largest relative gap between each contender's losses and the first's.

    Args:
      losses: float32 (members, steps), by contender; all of one shape. Entry t of a
        member is the loss after t updates.
      tolerance: the largest allowed gap after ten updates. float32 sums in a different
        order make losses drift apart during training.

    Raises:
      UserError: the gap is larger, or a loss is NaN.
    """
    (first, reference), *others = losses.items()
    gaps = {first: 0.0}
    for name, contender_losses in others:
        gaps[name] = 0.0
        for step in sorted({min(step, reference.shape[1] - 1) for step in _AFTER}):
            gap = np.abs(contender_losses[:, step] / reference[:, step] - 1).max()
            if not gap <= tolerance:
                raise UserError(
                    f"{name} and {first} do not compute the same: after {step} updates "
                    f"their losses differ by {gap:.1e} of their size, and "
                    f"--tolerance={tolerance:g}"
                )
            gaps[name] = max(gaps[name], float(gap))
    return gaps
