"""The student report's plots: a norm and no norm by epoch, and its digitised curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.data.spec import CIFAR10
from normlab.figures.panels import legend, lines
from normlab.figures.reference import report
from normlab.figures.style import style
from normlab.figures.tables import (
    REPORT,
    NotDrawn,
    averaged,
    is_plain,
    over_seeds,
    published,
    stack,
    trained,
    with_epochs,
    with_origin,
)
from normlab.statistics.finals import settings_label, trained_on
from normlab.statistics.intervals import number

_ROWS = {
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "batch_loss": "training loss\n(nats)",
}
_SAYS = "The experiments of the student report, run again beside its curves"
_SCORES = ("train_accuracy", "test_accuracy")
# The report trained on all images; with fewer images, epochs are not comparable.
IMAGES = CIFAR10.train_images


def tabulate(frame: pd.DataFrame, norm: str) -> pd.DataFrame:
    """The table for `draw`: one row per (metric, setting, experiment, epoch).

    Accuracies come from the run's evaluations. Batch losses are averaged over each
    epoch (``steps_averaged`` is the number of steps), or over the epochs that a row of
    a thin copy covers. The report's curves, including accuracies, are averaged over
    epochs. ``epoch`` is then the middle of the interval.

    Args:
      frame: the table of a run.
      norm: the norm to compare with networks without a norm. Settings that the report
        does not vary or state may differ from it; ``setting`` names those that vary.
    """
    is_report = frame["model"].eq("small_cnn") & frame["dataset"].eq("cifar10")
    plain = frame["optimizer"].eq("adam") & frame["weight_decay"].eq(0)
    plain &= is_plain(frame)
    every = trained_on(frame).eq(IMAGES)
    frame = frame[is_report & plain & every & frame["norm"].isin(["none", norm])]
    lacking = NotDrawn(
        "it shows the report's experiments (--dataset=cifar10 --model=small_cnn "
        f"--optimizer=adam --norm=none,{norm}, all images), but the run has none"
    )
    if frame.empty:
        raise lacking
    # The column of panels shows the batch size.
    setting = settings_label(frame.assign(batch_size=0))
    frame = with_epochs(frame).assign(setting=setting)
    tables = []
    for name, experiment in report.EXPERIMENTS.items():
        same = frame["batch_size"].eq(experiment.batch_size) & np.isclose(
            frame["lr"], experiment.lr, rtol=1e-6, atol=0
        )
        rows = frame[same & frame["label"].isin(["none", experiment.label])]
        if experiment.label in set(rows["label"]) and experiment.label.startswith(norm):
            title = f"{name}: {_words(experiment)}"
            tables += [
                table.assign(experiment=title)
                for table in (*_own(rows), _digitised(name, rows))
            ]
    if not tables:
        raise lacking
    return with_origin(stack(tables), frame)


def _words(experiment: report.Experiment) -> str:
    if experiment.label != "batch":
        return experiment.label
    return f"batch {experiment.batch_size}, lr {number(experiment.lr)}"


def _own(rows: pd.DataFrame) -> list[pd.DataFrame]:
    keys = ["setting", "point", "epoch"]
    steps = trained(rows, "epoch")
    # A row of a thin copy may cover several epochs. The first row is a single step,
    # which is not an average.
    epochs = steps["count"] * steps["batch_size"] / steps["train_size"]
    width = np.maximum(1, epochs.groupby(steps["setting"]).transform("max").round())
    steps = steps.assign(whole=np.floor(steps["epoch"] / width))
    members = ["setting", "point", "member", "whole"]
    means = averaged(steps, "batch_loss", members, "epoch")
    losses = over_seeds(means, keys, "batch_loss")
    width = 0 if means.empty else int(means["count"].median())
    # The accuracy before the first step is at chance and would stretch the axis.
    trained_rows = rows[rows["step"] > 0]
    return [
        *(
            over_seeds(trained_rows, keys, metric).assign(
                metric=metric, steps_averaged=1
            )
            for metric in _SCORES
        ),
        losses.assign(metric="batch_loss", steps_averaged=width),
    ]


def _digitised(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The report's curves, in the colour of the first setting with the same norm."""
    names = rows.drop_duplicates("label").set_index("label")["setting"]
    curves = report.curves(name)
    # Twenty epochs of the report would flatten a run of two.
    curves = curves[curves["epoch"] <= max(rows["epoch"].max(), curves["epoch"].min())]
    curves = curves[curves["label"].isin(names.index)]
    curves = curves.assign(
        setting=curves["label"].map(names), point=rows["point"].iloc[0]
    )
    return published(curves, "value", REPORT).drop(columns=["label", "value"])


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per experiment, with accuracies on top and the loss below."""
    figure, axes = lines(
        table,
        row="metric",
        ylabels=_ROWS,
        column="experiment",
        x="epoch",
        xlabel="epoch",
        marked=_SCORES,
        what="losses averaged over epochs",
        says=_SAYS,
    )
    for (metric, _), ax in axes.items():
        if metric == "batch_loss":
            ax.set_ylim(0, _top(table))
    legend(figure)
    return figure


def _top(table: pd.DataFrame) -> float:
    """An upper limit slightly above the losses, except those that diverge."""
    losses = table.loc[table["metric"] == "batch_loss", ["median", "source"]]
    paper = losses.loc[losses["source"] == REPORT, "median"]
    return 1.1 * min(float(losses["median"].max()), 3 * float(paper.max()))
