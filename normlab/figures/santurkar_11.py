"""Change of the gradient against step length (Santurkar et al. 2018, Figure 11).

There is one line per step of training. The colour shows the time from early to late.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from normlab.figures import reference
from normlab.figures.colours import SCALE
from normlab.figures.fitting import columns_for
from normlab.figures.headings import title
from normlab.figures.panels import grid
from normlab.figures.paper import current
from normlab.figures.scales import log_axis, log_ticks
from normlab.figures.sharing import last_step, shared
from normlab.figures.style import style
from normlab.figures.tables import (
    PAPER,
    RUN,
    few,
    left_out,
    middle,
    over_seeds,
    stack,
    with_lengths,
    with_origin,
)
from normlab.statistics.intervals import least_and_most

_MOST_STEPS = 51  # as many as in the paper
_MOST_SETTINGS = 6
_PAPERS_LAST = 15000
_SAYS = "How far the gradient changes along itself, from early to late in training"


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: one row per (setting, point, step, length).

    ``length`` is eta x learning rate, which multiplies the gradient. ``time`` is the
    step as a share of the last step. The learning rate is the first for which the paper
    has lines, or the middle one. The paper orders its lines but does not state their
    steps; they are assumed to be evenly spaced.
    """
    frame = with_lengths(frame)
    paper = reference.beside(frame, "11a")
    has_paper = frame["point"].isin(paper["point"])
    point = middle(shared(frame, "point"))
    if has_paper.any():
        point = frame.loc[has_paper, "point"].iloc[0]
    frame = frame[frame["point"] == point]
    steps = few(sorted(shared(frame, "step")), _MOST_STEPS)
    frame = frame.assign(time=frame["step"] / np.maximum(1, last_step(frame)))
    keys = ["setting", "point", "step", "time", "length"]
    ours = over_seeds(frame[frame["step"].isin(steps)], keys, "difference")
    tables = [ours.sort_values(["step", "length"], kind="stable")]
    if not paper.empty:
        tables.append(_published(paper[paper["point"] == point]))
    return with_origin(stack(tables), frame)


def _published(paper: pd.DataFrame) -> pd.DataFrame:
    time = paper["order"] / paper["order"].max()
    step = (_PAPERS_LAST * time).round().astype(int)
    ends = {name: paper["difference"] for name in ("median", "low", "high")}
    table = paper.rename(columns={"eta": "length"}).drop(
        columns=["order", "difference"]
    )
    return table.assign(step=step, time=time, n=1, coverage=0.0, source=PAPER, **ends)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per norm, with the paper's lines (if any) below those of the run."""
    settings = few(dict.fromkeys(table["setting"]), columns_for(_MOST_SETTINGS))
    sources = list(dict.fromkeys(table["source"]))
    figure, axes = grid(
        len(sources), len(settings), height=2.0, sharex=True, sharey=True
    )
    for ax_row, source in zip(axes, sources, strict=True):
        for ax, setting in zip(ax_row, settings, strict=True):
            mine = table[(table["source"] == source) & (table["setting"] == setting)]
            for _, line in mine.groupby("time"):
                color = SCALE(line["time"].iloc[0])
                ax.plot(line["length"], line["median"], color=color, linewidth=0.8)
            if mine.empty:
                ax.text(0.5, 0.4, "not\npublished", transform=ax.transAxes, ha="center")
        label = f"|g - g'| ({table['loss_unit'].iloc[0]}/θ)"
        theirs = f"{label}\n{source}\n(to step {_PAPERS_LAST})"
        ax_row[0].set_ylabel(label if source == RUN else theirs)
    log_axis([axes[0, 0]], table["median"])
    axes[0, 0].set_xscale("log")
    log_ticks(axes[0, 0].xaxis, table["length"].min(), table["length"].max())
    for ax, setting in zip(axes[0], settings, strict=True):
        ax.set_title(setting)
    for ax in axes[-1]:
        ax.set_xlabel("length of the trial step η (times the gradient)")
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), SCALE),
        ax=axes,
        shrink=0.8,
        # A bar beside the panels would take a third of a narrow figure.
        location="right" if current().width is None else "bottom",
    )
    bar.set_label("share of training")
    ours: Any = table[table["source"] == RUN]
    least, n = least_and_most(ours["n"])
    last = int(ours["step"].max())
    count = f"{n}" if least == n else f"{least} to {n}"
    seeds = "one seed" if n == 1 else f"median over {count} seeds"
    words = [ours["point"].iloc[0], f"step 0 to {last}", seeds]
    note = left_out(settings, table["setting"], "norms")
    title(figure, [table["where"].iloc[0], *words, note], _SAYS)
    return figure
