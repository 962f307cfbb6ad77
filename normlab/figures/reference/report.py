"""The curves of the report, as means over epochs.

``report_curves/`` contains the values read off its plots; its README explains them.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import pandas as pd

_FILE = Path(__file__).with_name("report_curves") / "epoch_means.csv"
# In nearly all plots, the legend hides these epochs, and its lines were misread.
_HIDDEN = (17, 18)
_LEAST_COLUMNS = 5


class Experiment(NamedTuple):
    """One of the report's comparisons with a network without a norm.

    Attributes:
      label: the norm, as named by `normlab.cell.norm_label`.
    """

    label: str
    batch_size: int
    lr: float


EXPERIMENTS: dict[str, Experiment] = {
    "E1": Experiment("batch", 50, 1e-3),
    "E2": Experiment("batch", 50, 1e-4),
    "E3": Experiment("batch", 10, 1e-3),
    "E4": Experiment("batch", 100, 1e-3),
    "E5": Experiment("group (G=1)", 50, 1e-3),
    "E6": Experiment("group (G=4)", 50, 1e-3),
    "E7": Experiment("group (G=16)", 50, 1e-3),
}


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
    epochs = table[wanted & (table["curve"] == curve)]
    if epochs.empty:
        raise ValueError(f"the report has no curve {experiment}, {metric}, {curve}")
    return float(epochs.sort_values("epoch")["mean"].iloc[-1])


def mean_of_epochs(
    experiment: str, metric: str, curve: str
) -> tuple[tuple[int, ...], float]:
    """The numbers of a curve's legible epochs, from 1 on, and its mean over them.

    Raises:
      ValueError: there is no such curve.
    """
    table = _legible()
    wanted = (table["experiment"] == experiment) & (table["metric"] == metric)
    rows = table[wanted & (table["curve"] == curve)].sort_values("epoch")
    if rows.empty:
        raise ValueError(f"the report has no curve {experiment}, {metric}, {curve}")
    return tuple(map(int, rows["epoch"])), float(rows["mean"].mean())


def _legible() -> pd.DataFrame:
    """The rows of epochs that the legend or another curve does not hide."""
    table = read()
    hidden = table["epoch"].isin(_HIDDEN)
    return table[~hidden & table["columns"].ge(_LEAST_COLUMNS)]


def curves(experiment: str) -> pd.DataFrame:
    """The legible parts of an experiment's curves.

    Returns:
      One row per (``metric``, ``label``, ``epoch``). ``value`` is the mean over an
      epoch, and ``epoch`` the middle of it, from 0.5 to 19.5. Epochs 17 and 18 and
      hardly visible parts are left out.
    """
    table = _legible()
    table = table[table["experiment"].eq(experiment)]
    names = {"none": "none", "norm": EXPERIMENTS[experiment].label}
    return pd.DataFrame(
        {
            "metric": table["metric"],
            "label": table["curve"].map(names),
            "epoch": table["epoch"] - 0.5,
            "value": table["mean"],
        }
    ).reset_index(drop=True)
