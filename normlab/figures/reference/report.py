"""The curves of the report, a mean an epoch.

``report_curves/`` holds what was read off its plots; the README there says how.
"""

import functools
from pathlib import Path

import pandas as pd

_FILE = Path(__file__).with_name("report_curves") / "epoch_means.csv"


@functools.cache
def read() -> pd.DataFrame:
    """All curves: ``experiment``, ``metric``, ``curve``, ``epoch``, ``mean``.

    Experiments are E1 to E7, metrics ``train_accuracy``, ``test_accuracy`` (fractions)
    and ``batch_loss`` (nats), curves ``none`` and ``norm``.
    """
    return pd.read_csv(_FILE)


def last_epoch(experiment: str, metric: str, curve: str) -> float:
    """The mean of a curve over its last epoch.

    Raises:
      ValueError: there is no such curve.
    """
    table = read()
    wanted = (table["experiment"] == experiment) & (table["metric"] == metric)
    found = table[wanted & (table["curve"] == curve)]
    if found.empty:
        raise ValueError(f"the report has no curve {experiment}, {metric}, {curve}")
    return float(found.sort_values("epoch")["mean"].iloc[-1])
