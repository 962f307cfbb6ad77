"""Measures computed from a member's training curves.

Accuracies are in percentage points, losses in nats.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normlab.claims.claim import Measure
from normlab.claims.evidence import Evidence

_POINTS = 100.0
# Metric -> its description and unit.
_CURVES = {
    "train_accuracy": ("training accuracy", "points"),
    "test_accuracy": ("test accuracy", "points"),
    "train_loss": ("training loss", "nats"),
    "batch_loss": ("batch loss", "nats"),
}
Curve = Callable[[pd.DataFrame, str], pd.Series]


def _measure(words: str, name: str, curve: Curve, ratio: bool = False) -> Measure:
    what, unit = _CURVES[name]
    scale = _POINTS if unit == "points" else 1.0

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        return scale * curve(evidence.rows(networks, statistics), name)

    return Measure(words.format(what), unit, of, ratio)


def _average(rows: pd.DataFrame, name: str) -> pd.Series:
    """Each member's mean, with every row weighted by the steps that it covers."""
    rows = rows[rows[name].notna()]
    weighted = (rows[name].astype(float) * rows["gap"]).groupby(rows["network"]).sum()
    return weighted / rows["gap"].groupby(rows["network"]).sum()


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

    return _measure("final {}", name, curve, ratio)


def epochs_to(name: str, bound: float) -> Measure:
    """Like `steps_to`, but in epochs, and compared by differences."""
    measure = steps_to(name, bound)

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        epoch = evidence.rows(networks, statistics).groupby("network")["epoch"].first()
        return measure.of(evidence, networks, statistics) / epoch

    return Measure(measure.words.replace("steps", "epochs", 1), "epochs", of)


def steps_to(name: str, bound: float) -> Measure:
    """Steps until a curve first reaches ``bound``; infinite if it never does.

    Values between two evaluations are interpolated linearly.
    """
    what, _ = _CURVES[name]

    def first(rows: pd.DataFrame) -> float:
        rows = rows[rows[name].notna()]
        steps, values = rows["step"].to_numpy(float), rows[name].to_numpy(float)
        over = np.flatnonzero(values >= bound)
        if not len(over):
            return np.inf
        k = over[0]
        if k == 0:
            return steps[0]
        share = (bound - values[k - 1]) / (values[k] - values[k - 1])
        return steps[k - 1] + share * (steps[k] - steps[k - 1])

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.rows(networks, statistics)
        return pd.Series(
            {number: first(curve) for number, curve in rows.groupby("network")}
        )

    words = f"steps to reach {_POINTS * bound:g}% {what}"
    return Measure(words, "steps", of, ratio=True)


def gap() -> Measure:
    """The final training accuracy minus the final test accuracy."""

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.rows(networks, statistics)
        last = rows[rows["step"] == rows["steps"]].set_index("network")
        return _POINTS * (last["train_accuracy"] - last["test_accuracy"]).astype(float)

    return Measure("final training accuracy minus test accuracy", "points", of)


FINAL_TRAIN = last_epoch("train_accuracy")
FINAL_TEST = last_epoch("test_accuracy")
SPEED = over_training("train_accuracy")
BATCH_LOSS = over_training("batch_loss")
LAST_BATCH_LOSS = last_epoch("batch_loss")
EVALUATION_GAP = gap()
