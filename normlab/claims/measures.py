"""Measures computed from a member's training curves.

Accuracies are in percentage points, losses in nats.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from normlab.claims.claim import Measure
from normlab.claims.evidence import Evidence

_POINTS = 100.0
# Metric -> its description and unit.
_CURVES = {
    "train_accuracy": ("training accuracy", "points"),
    "validation_accuracy": ("validation accuracy", "points"),
    "test_accuracy": ("test accuracy", "points"),
    "train_loss": ("training loss", "nats"),
    "batch_loss": ("batch loss", "nats"),
}
Curve = Callable[[pd.DataFrame, str], pd.Series]
# A final value is a mean over evaluations, because one alone is noisy: of up to so
# many, in the last share of training.
LAST, SHARE = 5, 0.2


def _measure(
    words: str, name: str, curve: Curve, ratio: bool = False, late: bool = False
) -> Measure:
    what, unit = _CURVES[name]
    scale = _POINTS if unit == "points" else 1.0

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.rows(networks, statistics)
        # Runs that hold out no images have no validation accuracy.
        return scale * curve(rows, name) if name in rows else pd.Series(dtype=float)

    share = of if name == "test_accuracy" else None
    return Measure(words.format(what), unit, of, ratio, share, late)


def _average(rows: pd.DataFrame, name: str) -> pd.Series:
    """Each member's mean, with every row weighted by the steps that it covers."""
    rows = rows[rows[name].notna()]
    weighted = (rows[name].astype(float) * rows["gap"]).groupby(rows["network"]).sum()
    return weighted / rows["gap"].groupby(rows["network"]).sum()


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    """The last evaluations of each member: `LAST`, or those in the last `SHARE`."""
    late = rows["step"] > (rows["steps"] * (1 - SHARE)).round(6)
    return rows[late].groupby("network").tail(LAST)


def final(name: str) -> Measure:
    """The mean of a curve over its last evaluations (`LAST`, `SHARE`)."""

    def curve(rows: pd.DataFrame, name: str) -> pd.Series:
        last = _last(rows[rows[name].notna()])
        return last[name].astype(float).groupby(last["network"]).mean()

    words = f"final {{}} (mean of up to {LAST} evaluations)"
    return _measure(words, name, curve, late=True)


def averaged(evaluations: float) -> int:
    """How many of the evaluations of a training count as the last ones.

    The last step is evaluated, too: 1.5 evaluations are one at 2/3, and one at the end.
    """
    earlier = math.floor(round(evaluations * (1 - SHARE), 6))
    return min(LAST, max(1, math.ceil(evaluations) - earlier))


def at_epochs(name: str, epochs: Sequence[int]) -> Measure:
    """The mean of a curve over some epochs, of which the first is number 1."""

    def curve(rows: pd.DataFrame, name: str) -> pd.Series:
        number = np.ceil((rows["step"] / rows["epoch"]).round(6).to_numpy(float))
        return _average(rows[np.isin(number, list(epochs))], name)

    first, last = min(epochs), max(epochs)
    left_out = sorted(set(range(first, last + 1)) - set(epochs))
    words = f"{{}} averaged over epochs {first} to {last}"
    if left_out:
        words += f" without {', '.join(map(str, left_out))}"
    return _measure(words, name, curve)


def last_epoch(name: str) -> Measure:
    """The mean of a curve over the last epoch, or its last value if it has no other."""

    def curve(rows: pd.DataFrame, name: str) -> pd.Series:
        last = rows["step"] > rows["steps"] - rows["epoch"]
        return _average(rows[last | (rows["step"] == rows["steps"])], name)

    return _measure("{} of the last epoch", name, curve)


def over_training(name: str, ratio: bool = False) -> Measure:
    """The mean of a curve over all of training. Curves that rise early score higher."""

    def curve(rows: pd.DataFrame, name: str) -> pd.Series:
        return _average(rows[rows["step"] > 0], name)

    return _measure("{} averaged over training", name, curve, ratio)


def at_end(name: str, ratio: bool = False) -> Measure:
    """The last value of a curve."""

    def curve(rows: pd.DataFrame, name: str) -> pd.Series:
        last = rows[rows["step"] == rows["steps"]]
        return last.set_index("network")[name].astype(float)

    return _measure("{} after the last step", name, curve, ratio)


def epochs_to(name: str, bound: float) -> Measure:
    """Like `steps_to`, but in epochs, and compared by differences."""
    measure = steps_to(name, bound)

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        epoch = evidence.rows(networks, statistics).groupby("network")["epoch"].first()
        return measure.of(evidence, networks, statistics) / epoch

    return Measure(measure.words.replace("steps", "epochs", 1), "epochs", of)


def _where(rows: pd.DataFrame, name: str, bound: float, of: str) -> float:
    """The column ``of`` where a member's curve first reaches ``bound``; NaN if never.

    Values between two evaluations are interpolated linearly. A curve that begins at the
    bound or above has reached it at its first evaluation.
    """
    rows = rows[rows[name].notna()]
    found, values = rows[of].to_numpy(float), rows[name].to_numpy(float)
    over = np.flatnonzero(values >= bound)
    if not len(over):
        return math.nan
    k = over[0]
    if k == 0:
        return found[0]
    share = (bound - values[k - 1]) / (values[k] - values[k - 1])
    return found[k - 1] + share * (found[k] - found[k - 1])


def steps_to(name: str, bound: float) -> Measure:
    """Steps until a curve first reaches ``bound``; infinite if it never does."""
    what, _ = _CURVES[name]

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.rows(networks, statistics)
        steps = {
            number: _where(curve, name, bound, "step")
            for number, curve in rows.groupby("network")
        }
        return pd.Series(steps, dtype=float).fillna(np.inf)

    words = f"steps to reach {_POINTS * bound:g}% {what}"
    return Measure(words, "steps", of, ratio=True)


def gap() -> Measure:
    """The final training accuracy minus the final test accuracy (`final`)."""
    train, test = final("train_accuracy"), final("test_accuracy")

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        values = (m.of(evidence, networks, statistics) for m in (train, test))
        return functools.reduce(lambda a, b: a - b, values)

    what = train.words.replace("accuracy", "accuracy minus test accuracy", 1)
    return Measure(what, "points", of, share=test.of, late=True)


def gap_at(levels: Sequence[float]) -> Measure:
    """The gap where the training accuracy first reaches each level, on average.

    At the end, a network that trains slower has a smaller gap for this reason alone.
    There is no value if a level is not reached, or is passed before the second
    evaluation.
    """
    middle = _POINTS * float(np.mean(levels))

    def test(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.rows(networks, statistics)
        rows = rows[rows["train_accuracy"].notna()]
        found = {
            number: np.mean(
                [_where(curve, "train_accuracy", x, "test_accuracy") for x in levels]
            )
            for number, curve in rows.groupby("network")
            if curve["train_accuracy"].iloc[0] < min(levels)
        }
        return _POINTS * pd.Series(found, dtype=float)

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        return middle - test(evidence, networks, statistics)

    named = ", ".join(f"{_POINTS * level:g}%" for level in levels)
    words = f"test accuracy below a training accuracy of {named} when first reached"
    return Measure(f"{words}, mean", "points", of, share=test)


FINAL_TRAIN = final("train_accuracy")
FINAL_TEST = final("test_accuracy")
FINAL_VALIDATION = final("validation_accuracy")
SPEED = over_training("train_accuracy")
BATCH_LOSS = over_training("batch_loss")
LAST_BATCH_LOSS = last_epoch("batch_loss")
EVALUATION_GAP = gap()
# Which the report's network reaches with any norm.
GAP_AT_ACCURACY = gap_at((0.8, 0.85, 0.9))
