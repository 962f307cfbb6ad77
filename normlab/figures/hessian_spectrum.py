"""The Hessian's spectral density at the end of training, under both statistics.

Batch norm takes away the few eigenvalues far outside of the bulk, but only of the loss
that it trains with: where the same network is evaluated with fixed statistics they are
there (Ghorbani, Krishnan & Xiao 2019, arXiv 1901.10159).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.analysis.summary import number
from normlab.figures.panels import grid, legend, title
from normlab.figures.style import looks, style
from normlab.figures.tables import RUN, NotDrawn, few, with_names, with_origin
from normlab.quantities.hessian_density import density_curve

_ROWS = {
    "batch": "density,\nbatch statistics",
    "running": "density,\nrunning averages",
}
_MOST_COLUMNS = 6
_POINTS = 401
# The Gaussians' width, as a part of the range of a curve's eigenvalues; of these widths
# so many are on either side, where a Gaussian is below the floor.
_WIDTH, _MARGIN = 0.02, 7
# What is drawn goes down to this part of the highest density: with P parameters a
# single eigenvalue is a bump of about 1/P of the bulk's.
_FLOOR = 1e-8


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """What `draw` draws, from ``hessian_density`` at each cell's last step measured.

    Returns:
      A row a (statistics, setting, point, seed, eigenvalue): the seed's ``density``,
      the mean over its samples with every node a Gaussian of standard deviation
      ``width``; ``mean``, that over the seeds; ``n``, how many those are; and ``step``.
    """
    last = frame.groupby("cell")["step"].transform("max")
    frame = with_names(frame[frame["step"] == last])
    keys = ["statistics", "setting", "point"]
    tables = [
        table.assign(**rows[keys].iloc[0])
        for _, rows in frame.groupby(keys, sort=False)
        for table in _curves(rows)
    ]
    if not tables:
        raise NotDrawn("no finite spectrum of a Hessian was measured")
    table = pd.concat(tables, ignore_index=True).assign(source=RUN)
    return with_origin(table, frame)


def _curves(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The members' densities on one grid; none where all have diverged."""
    members = []
    for (seed, step), own in rows.groupby(["seed", "step"], sort=False):
        nodes = own.pivot(index="sample", columns="node", values=["value", "weight"])
        if np.isfinite(nodes["weight"].to_numpy()).all():
            members.append((seed, step, nodes["value"], nodes["weight"]))
    if not members:
        return
    every = np.concatenate([np.ravel(values) for _, _, values, _ in members])
    low, high = np.nanmin(every), np.nanmax(every)
    width = _WIDTH * max(high - low, 0.1 * abs(high), 1e-12)
    at = np.linspace(low - _MARGIN * width, high + _MARGIN * width, _POINTS)
    curves = [
        density_curve(values.to_numpy(), weights.to_numpy(), at, width)
        for _, _, values, weights in members
    ]
    mean = np.mean(curves, axis=0)
    for (seed, step, _, _), curve in zip(members, curves, strict=True):
        columns = {"eigenvalue": at, "density": curve, "mean": mean}
        yield pd.DataFrame(columns).assign(
            seed=seed, step=step, width=width, n=len(members)
        )


@style()
def draw(table: pd.DataFrame) -> Figure:
    """A column a learning rate, a row a kind of statistics: means, and seeds thin."""
    kinds = [kind for kind in _ROWS if kind in set(table["statistics"])]
    points = list(dict.fromkeys(table["point"]))
    columns = few(points, _MOST_COLUMNS)
    figure, axes = grid(len(kinds), len(columns), sharex="col", sharey=True)
    styles = looks(table["setting"])
    for ax_row, kind in zip(axes, kinds, strict=True):
        ax_row[0].set_ylabel(_ROWS[kind])
        for ax, point in zip(ax_row, columns, strict=True):
            here = table[(table["statistics"] == kind) & (table["point"] == point)]
            for setting, look in styles.items():
                mine = here[here["setting"] == setting]
                color = look["color"]
                for _, one in mine.groupby("seed", sort=False):
                    thin = {"linewidth": 0.5, "alpha": 0.5}
                    ax.plot(one["eigenvalue"], one["density"], color=color, **thin)
                first = mine[mine["seed"] == mine["seed"].min()]
                ax.plot(first["eigenvalue"], first["mean"], color=color, label=setting)
    top = float(table["density"].max())
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylim(_FLOOR * top, 2 * top)
    for ax, point in zip(axes[0], columns, strict=True):
        ax.set_title(point)
    for ax in axes[-1]:
        ax.set_xlabel(f"eigenvalue ({table['unit'].iloc[0]}/θ²)")
    steps = " or ".join(number(step) for step in sorted(table["step"].unique()))
    shown = "" if columns == points else f"{len(columns)} of {len(points)} shown"
    seeds = f"mean over {int(table['n'].max())} seeds, each thin"
    if table["n"].max() == 1:
        seeds = "one seed"
    title(figure, [table["where"].iloc[0], f"step {steps}", seeds, shown])
    legend(figure)
    return figure
