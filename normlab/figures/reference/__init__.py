"""Curves of published figures, for comparison with runs.

``santurkar/`` contains curves recovered from the vector graphics of arXiv 1805.11604v3
(Santurkar et al. 2018, "How Does Batch Normalization Help Optimization?"). Its README
explains the files. To add a curve, add a CSV file there and a line in `CURVES`.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from normlab.data.tasks import REGRESSIONS
from normlab.settings import PLAIN

_FOLDER = Path(__file__).with_name("santurkar")
_PERCENT = 100.0
# The training of the paper's networks.
_PLAIN = {"optimizer": "sgd", "momentum": 0.0, **PLAIN}


class Curve(NamedTuple):
    """The experiment behind a published curve.

    Attributes:
      figure: the number of its figure in the paper.
      datasets: normlab's names; several if the paper does not specify the dataset.
      model: the start of normlab's name. The paper does not specify its VGG.
      label: the norm, as named by `normlab.cell.norm_label`.
      lr: the learning rate.
      every: the number of steps between two points.
    """

    figure: str
    datasets: tuple[str, ...]
    model: str
    label: str
    lr: float
    every: int


def _vgg(figure: str, label: str, lr: float = 0.1, every: int = 100) -> Curve:
    return Curve(figure, ("cifar10",), "vgg", label, lr, every)


def _linear(figure: str, label: str) -> Curve:
    return Curve(figure, REGRESSIONS, "deep_linear", label, lr=1e-6, every=50)


CURVES: dict[str, Curve] = {
    "fig1a_trainacc_std_lr0.1": _vgg("1a", "none"),
    "fig1a_trainacc_bn_lr0.1": _vgg("1a", "batch"),
    "fig1a_trainacc_std_lr0.5": _vgg("1a", "none", lr=0.5),
    "fig1a_trainacc_bn_lr0.5": _vgg("1a", "batch", lr=0.5),
    "fig1b_testacc_A": _vgg("1b", "none", every=1000),
    "fig1b_testacc_B": _vgg("1b", "batch", every=1000),
    "fig1b_testacc_C": _vgg("1b", "none", lr=0.5, every=1000),
    "fig1b_testacc_D": _vgg("1b", "batch", lr=0.5, every=1000),
    "fig4a_loss_standard": _vgg("4a", "none"),
    "fig4a_loss_bn": _vgg("4a", "batch"),
    "fig4b_gradpred_standard": _vgg("4b", "none"),
    "fig4b_gradpred_bn": _vgg("4b", "batch"),
    "fig4c_beta_standard": _vgg("4c", "none"),
    "fig4c_beta_bn": _vgg("4c", "batch"),
    "fig5a_vgg_trainacc_standard": _vgg("5a", "none"),
    "fig5a_vgg_trainacc_bn": _vgg("5a", "batch"),
    "fig5a_vgg_trainacc_L1": _vgg("5a", "batch l1"),
    "fig5a_vgg_trainacc_L2": _vgg("5a", "batch l2"),
    "fig5a_vgg_trainacc_Linf": _vgg("5a", "batch linf"),
    "fig5b_dln_loss_standard": _linear("5b", "none"),
    "fig5b_dln_loss_bn": _linear("5b", "batch"),
    "fig5b_dln_loss_L1": _linear("5b", "batch l1"),
    "fig5b_dln_loss_L2": _linear("5b", "batch l2"),
    "fig5b_dln_loss_Linf": _linear("5b", "batch linf"),
    "fig10a_dln_loss_standard": _linear("10a", "none"),
    "fig10a_dln_loss_bn": _linear("10a", "batch"),
    "fig10b_dln_gradpred_standard": _linear("10b", "none"),
    "fig10b_dln_gradpred_bn": _linear("10b", "batch"),
    "fig10c_dln_beta_standard": _linear("10c", "none"),
    "fig10c_dln_beta_bn": _linear("10c", "batch"),
    "fig11a_standard": _vgg("11a", "none"),
    "fig11a_bn": _vgg("11a", "batch"),
    "fig12d_beta_standard": _vgg("12d", "none"),
    "fig12d_beta_bn": _vgg("12d", "batch"),
    "fig12d_beta_L1": _vgg("12d", "batch l1"),
    "fig12d_beta_L2": _vgg("12d", "batch l2"),
    "fig12d_beta_Linf": _vgg("12d", "batch linf"),
}


@functools.cache
def read(name: str) -> pd.DataFrame:
    """Reads a curve of `CURVES`.

    Returns:
      A table with ``step`` (rounded to the paper's grid), ``low`` and ``high`` (the
      edges of a band; equal if the figure has a line). Accuracies are fractions. The
      table for Figure 11a has ``order`` (of the lines; 0 is the earliest), ``eta`` and
      ``difference`` instead.
    """
    table = pd.read_csv(_FOLDER / f"{name}.csv")
    if CURVES[name].figure == "11a":
        table = table.rename(columns={table.columns[0]: "order"})
        tidy = table.melt("order", var_name="eta", value_name="difference")
        eta = tidy["eta"].str.removeprefix("eta=").astype(float)
        return tidy.assign(eta=eta).sort_values(["order", "eta"], ignore_index=True)
    every = CURVES[name].every
    step = (np.round(table["step"] / every) * every).astype(int)
    scale = 1 / _PERCENT if "acc" in table else 1.0
    low, high = scale * table.iloc[:, 1], scale * table.iloc[:, -1]
    return pd.DataFrame({"step": step, "low": low, "high": high})


def beside(frame: pd.DataFrame, figure: str) -> pd.DataFrame:
    """The curves of a published figure that match cells of a run.

    A cell matches if it has the same dataset, kind of model, norm and learning rate,
    and uses plain SGD, without momentum, a schedule or clipping, for example. The batch
    size (128 in the paper, 1000 for the linear network) may differ, because the caption
    shows it.

    Args:
      frame: the table of a run, with the columns of
        `normlab.figures.tables.with_names`.
      figure: the number of the figure in the paper.

    Returns:
      The rows of `read`, with the ``setting`` and ``point`` of the matching cell.
      Curves end at their first step that is not before the run's end. Otherwise 15000
      published steps would compress a short run.
    """
    known = ["setting", "point", "dataset", "model", "label", "lr"]
    columns = [*known, *(name for name in _PLAIN if name in frame)]
    frames = [
        read(name).assign(setting=place["setting"], point=place["point"])
        for place in frame[columns].drop_duplicates().to_dict("records")
        for name, curve in CURVES.items()
        if curve.figure == figure and _is_counterpart(curve, place)
    ]
    if not frames:
        return pd.DataFrame(columns=["setting", "point", "step", "low", "high"])
    curves = pd.concat(frames, ignore_index=True)
    return _until(curves, frame["step"].max()) if "step" in curves else curves


def _until(curves: pd.DataFrame, step: int) -> pd.DataFrame:
    """The curves up to their first point at or after ``step``."""
    reached = curves["step"][curves["step"] >= step].min()
    return curves if np.isnan(reached) else curves[curves["step"] <= reached]


def _is_counterpart(curve: Curve, place: dict) -> bool:
    same = place["dataset"] in curve.datasets and place["label"] == curve.label
    same_lr = np.isclose(place["lr"], curve.lr, rtol=1e-6, atol=0)
    plain = all(place.get(name, value) == value for name, value in _PLAIN.items())
    kind = place["model"].startswith(curve.model)
    return bool(same and same_lr and plain and kind)
