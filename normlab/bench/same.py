"""Checks that all contenders compute the same, by comparing their losses."""

from collections.abc import Mapping, Sequence

import numpy as np

from normlab.errors import UserError

# The loss at the start, and after so many updates.
_AFTER = (0, 1, 3, 10)
# Contenders may be so many times further apart than a twin that differs by rounding at
# the start; they round at every step. If that is further than the last number, rounding
# has become everything, and after several updates nothing is compared.
_TIMES, _MOST, _FEW = 10.0, 0.1, 1


def loss_gaps(
    losses: Mapping[str, np.ndarray],
    tolerance: float,
    twin: np.ndarray | None = None,
    trained: Mapping[str, Sequence[int] | None] | None = None,
) -> dict[str, float]:
    """The largest relative gap between each contender's losses and the first's.

    Args:
      losses: float32 (members, steps), by contender; all of one shape, but for
        ``trained``. Entry t of a member is the loss after t updates.
      tolerance: the gap that is always allowed. float32 sums in a different order make
        losses drift apart during training.
      twin: losses of the first contender from a start that differs by rounding. Where
        it has drifted away, rounding grows, so a larger gap is allowed, or any.
      trained: the members, by number, of a contender that trained only some.

    Raises:
      UserError: the gap is larger, or a loss is NaN.
    """
    (first, reference), *others = losses.items()
    allowed = _allowed(reference, reference if twin is None else twin, tolerance)
    gaps = {first: 0.0}
    for name, contender_losses in others:
        gaps[name] = 0.0
        some = (trained or {}).get(name)
        rows = np.arange(len(reference)) if some is None else np.asarray(some)
        for step in sorted({min(step, reference.shape[1] - 1) for step in _AFTER}):
            each = np.abs(contender_losses[:, step] / reference[rows, step] - 1)
            compared = np.isfinite(allowed[rows, step])
            wrong = ~np.isfinite(each) | (each > allowed[rows, step])
            if wrong.any():
                member = int(np.argmax(wrong))
                raise UserError(
                    f"{name} and {first} do not compute the same: after {step} updates "
                    f"their losses differ by {each[member]:.1e} of their size, where "
                    f"{allowed[rows[member], step]:.1e} is allowed "
                    f"(--tolerance={tolerance:g}, or more if rounding grows)"
                )
            gaps[name] = max(gaps[name], float(each[compared].max(initial=0)))
    return gaps


def _allowed(reference: np.ndarray, twin: np.ndarray, tolerance: float) -> np.ndarray:
    """The allowed gaps, (members, steps): they never fall as training goes on."""
    drift = np.maximum.accumulate(np.abs(twin / reference - 1), axis=1)
    apart = _TIMES * drift
    several = np.arange(apart.shape[1]) > _FEW
    lost = several[None, :] & ~(apart <= _MOST)
    return np.where(lost, np.inf, np.fmax(tolerance, np.fmin(apart, _MOST)))
