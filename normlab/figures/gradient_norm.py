"""The gradient norm during training, with all norms on the same axis.

The report's two plots of it (E10) have different lengths and axes. Its gradients
include the parameters of the norms.
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures.failed import failed
from normlab.figures.messages import medians
from normlab.figures.panels import apart, legend, lines
from normlab.figures.scales import log_axis
from normlab.figures.style import style
from normlab.figures.tables import (
    RUN,
    averages,
    binned,
    check_curves,
    over_seeds,
    with_epochs,
    with_lost,
    with_origin,
)


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (setting, point, epoch).

    ``trains`` is false where at least half of the networks diverged or are at chance.

    Because single steps have spikes, each member's gradient norms are first replaced by
    medians over bins of ``steps_averaged`` steps. Bins of a long training are whole
    epochs. Within an epoch the gradient changes, because the images of its end were
    last seen longer ago than those of its start. Bins of half an epoch would therefore
    draw a sawtooth.

    Raises:
      NotDrawn: every curve would be a single point, or no value is finite.
    """
    frame = with_epochs(frame)
    bins = binned(frame, "gradient_norm", statistic="median", x="epoch", of_epochs=True)
    keys = ["setting", "point", "epoch", "steps_averaged"]
    table = over_seeds(bins, keys, "gradient_norm")
    table = with_lost(table, bins, "gradient_norm", frame, "epoch")
    check_curves(table)
    why = failed(frame)
    names = zip(table["setting"], table["point"], strict=True)
    table["trains"] = [(str(a), str(b)) not in why for a, b in names]
    return with_origin(table.assign(metric="gradient_norm"), frame)


def _says(table: pd.DataFrame) -> str:
    """Each setting's median, at the point where the settings differ most.

    Settings that do not train are left out: small gradients are no result. So are
    points where a single setting trains, and nothing is said if all are such.
    """
    drawn = table[(table["source"] == RUN) & (table["median"] > 0)]
    ours = drawn[drawn["trains"]] if drawn["trains"].any() else drawn
    what = "Median gradient norm over training"
    if drawn["point"].nunique() > 1 and drawn["setting"].nunique() > 1:
        many = ours.groupby("point", sort=False)["setting"].transform("nunique") > 1
        ours = ours[many]
        if ours.empty:
            return ""
        typical = ours.groupby(["point", "setting"], sort=False)["median"].median()
        at = typical.groupby("point", sort=False)
        point = (at.max() / at.min()).idxmax()
        most = ", where it differs most" * (ours["point"].nunique() > 1)
        what = f"{what} at {point}{most}"
        ours = ours[ours["point"] == point]
    return medians(ours, what)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per learning rate, all with the same axis."""
    says = _says(table)
    table = apart(table)
    unit = f"{table['loss_unit'].iloc[0]} per unit of θ"
    rows = {"gradient_norm": f"gradient norm, l2\n({unit})"}
    what = "; ".join(filter(None, [averages("medians of", table), "θ: all parameters"]))
    figure, axes = lines(
        table,
        row="metric",
        ylabels=rows,
        x="epoch",
        xlabel="epoch",
        what=what,
        says=says,
    )
    log_axis(list(axes.values()), table[["median", "low", "high"]])
    legend(figure)
    return figure
