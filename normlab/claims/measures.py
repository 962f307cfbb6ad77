"""Measures of a member's training curves.

Accuracies are in points, of which there are 100; losses in nats.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normlab.claims.claim import Measure
from normlab.claims.evidence import Evidence

_POINTS = 100.0
# What a curve is called, and its unit.
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
    """The mean over the steps that the rows stand for, by member."""
    rows = rows[rows[name].notna()]
    weighted = (rows[name].astype(float) * rows["gap"]).groupby(rows["network"]).sum()
    return weighted / rows["gap"].groupby(rows["network"]).sum()


def last_epoch(name: str) -> Measure:
    """The mean of a curve over the last epoch, or its end where that is all."""

    def curve(rows: pd.DataFrame, name: str) -> pd.Series:
        last = rows["step"] > rows["steps"] - rows["epoch"]
        return _average(rows[last | (rows["step"] == rows["steps"])], name)

    return _measure("{} of the last epoch", name, curve)


def over_training(name: str, ratio: bool = False) -> Measure:
    """The mean of a curve over all of training: the higher, the earlier it rose."""

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
    """`steps_to` in epochs, and no ratio."""
    measure = steps_to(name, bound)

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        epoch = evidence.rows(networks, statistics).groupby("network")["epoch"].first()
        return measure.of(evidence, networks, statistics) / epoch

    return Measure(measure.words.replace("steps", "epochs", 1), "epochs", of)


def steps_to(name: str, bound: float) -> Measure:
    """Steps until a curve is first at ``bound``, infinite where it never is.

    Between two evaluations the curve is taken to be straight.
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

    words = f"steps to {_POINTS * bound:g} points of {what}"
    return Measure(words, "steps", of, ratio=True)


def gap() -> Measure:
    """Training accuracy less test accuracy, at the end."""

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.rows(networks, statistics)
        last = rows[rows["step"] == rows["steps"]].set_index("network")
        return _POINTS * (last["train_accuracy"] - last["test_accuracy"]).astype(float)

    return Measure("final training accuracy less test accuracy", "points", of)


FINAL_TRAIN = last_epoch("train_accuracy")
FINAL_TEST = last_epoch("test_accuracy")
SPEED = over_training("train_accuracy")
BATCH_LOSS = over_training("batch_loss")
LAST_BATCH_LOSS = last_epoch("batch_loss")
EVALUATION_GAP = gap()
