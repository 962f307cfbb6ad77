"""The spectral density of the Hessian at the end of training, for both statistics.

Batch norm removes the few eigenvalues far outside the bulk, but only from the training
loss. They are present if the same network is evaluated with fixed statistics (Ghorbani,
Krishnan & Xiao 2019, arXiv 1901.10159).
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from normlab.figures.colours import looks
from normlab.figures.fitting import columns_for
from normlab.figures.headings import title
from normlab.figures.panels import GREY, grid, legend
from normlab.figures.style import style
from normlab.figures.tables import RUN, NotDrawn, few, left_out, of_images, with_names
from normlab.quantities.measures.hessian_density import density_curve
from normlab.statistics.intervals import number
from normlab.words import counted

_ROWS = {
    "batch": "density, as trained\n(batch statistics)",
    "running": "density,\nrunning averages",
}
_MOST_COLUMNS = 6
_SAYS = "The eigenvalues of the Hessian at the end of training"
_POINTS = 401
# The Gaussians' standard deviation as a fraction of a panel's range of eigenvalues, and
# the margin on either side in standard deviations, where a Gaussian is below the floor.
_WIDTH, _MARGIN = 0.02, 7
# The smallest plotted density relative to the highest. With P parameters, a single
# eigenvalue has a peak of about 1/P of the bulk's.
_FLOOR = 1e-8


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`, from ``hessian_density`` at each cell's last measured step.

    Returns:
      One row per (statistics, setting, point, seed, eigenvalue). ``density`` is the
      seed's density: the mean over samples, with a Gaussian of standard deviation
      ``width`` at every node. ``mean`` is the mean over seeds, ``n`` their number. All
      curves of a panel, which is a (statistics, point), have the same width. A wider
      Gaussian lowers the bulk, so norms with different widths could not be compared.
    """
    last = frame.groupby("cell")["step"].transform("max")
    frame = with_names(frame[frame["step"] == last])
    keys = ["statistics", "point"]
    tables = [
        table.assign(**rows[keys].iloc[0])
        for _, rows in frame.groupby(keys, sort=False)
        for table in _panel(rows)
    ]
    if not tables:
        raise NotDrawn("the run has no finite Hessian spectrum")
    table = pd.concat(tables, ignore_index=True).assign(source=RUN)
    return of_images(table, frame)


class _Spectrum(NamedTuple):
    """One member's nodes and their weights, each of shape (samples, nodes)."""

    seed: int
    step: int
    values: np.ndarray
    weights: np.ndarray


def _panel(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The densities of all members, with the same grid and width for all settings."""
    spectra_of = {
        setting: spectra
        for setting, setting_rows in rows.groupby("setting", sort=False)
        if (spectra := list(_spectra(setting_rows)))
    }
    if not spectra_of:
        return
    every = [np.ravel(one.values) for spectra in spectra_of.values() for one in spectra]
    low, high = np.nanmin(np.concatenate(every)), np.nanmax(np.concatenate(every))
    width = _WIDTH * max(high - low, 0.1 * abs(high), 1e-12)
    at = np.linspace(low - _MARGIN * width, high + _MARGIN * width, _POINTS)
    for setting, spectra in spectra_of.items():
        curves = [density_curve(x.values, x.weights, at, width) for x in spectra]
        mean = np.mean(curves, axis=0)
        for one, curve in zip(spectra, curves, strict=True):
            columns = {"eigenvalue": at, "density": curve, "mean": mean}
            yield pd.DataFrame(columns).assign(
                setting=setting,
                seed=one.seed,
                step=one.step,
                width=width,
                n=len(spectra),
            )


def _spectra(rows: pd.DataFrame) -> Iterator[_Spectrum]:
    """The spectra of a setting's members, without those that diverged."""
    for which, spectrum in rows.groupby(["seed", "step"], sort=False):
        seed, step = cast(tuple[int, int], which)
        nodes = spectrum.pivot(
            index="sample", columns="node", values=["value", "weight"]
        )
        values, weights = (nodes[x].to_numpy() for x in ("value", "weight"))
        if np.isfinite(weights).all():
            yield _Spectrum(int(seed), int(step), values, weights)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per learning rate and one row per statistics.

    Means are thick lines, single seeds thin lines.
    """
    statistics = [name for name in _ROWS if name in set(table["statistics"])]
    points = list(dict.fromkeys(table["point"]))
    columns = few(points, columns_for(_MOST_COLUMNS))
    figure, axes = grid(len(statistics), len(columns), sharex="col", sharey=True)
    styles = looks(table["setting"])
    for ax_row, by in zip(axes, statistics, strict=True):
        ax_row[0].set_ylabel(_ROWS[by])
        for ax, point in zip(ax_row, columns, strict=True):
            panel_rows = table[(table["statistics"] == by) & (table["point"] == point)]
            for setting, look in styles.items():
                mine = panel_rows[panel_rows["setting"] == setting]
                color, line = look["color"], look.get("linestyle", "-")
                for _, one in mine.groupby("seed", sort=False):
                    thin = {"linewidth": 0.5, "alpha": 0.5}
                    ax.plot(one["eigenvalue"], one["density"], color=color, **thin)
                first = mine[mine["seed"] == mine["seed"].min()]
                thick = {"linestyle": line, "color": color, "label": setting}
                ax.plot(first["eigenvalue"], first["mean"], **thick)
            for width in panel_rows["width"].head(1):
                _say_width(ax, width)
    top = float(table["density"].max())
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylim(_FLOOR * top, 2 * top)
    for ax, point in zip(axes[0], columns, strict=True):
        ax.set_title(point)
    for ax in axes[-1]:
        ax.set_xlabel(f"eigenvalue ({table['loss_unit'].iloc[0]}/θ²)")
    steps = " or ".join(number(step) for step in sorted(table["step"].unique()))
    shown = left_out(columns, points)
    seeds = f"mean over {counted(int(table['n'].max()), 'seed')}, each thin"
    if table["n"].max() == 1:
        seeds = "one seed"
    smooth = f"smoothed by σ, {_WIDTH:.0%} of a panel's range"
    title(
        figure, [table["where"].iloc[0], f"step {steps}", seeds, smooth, shown], _SAYS
    )
    legend(figure)
    return figure


def _say_width(ax: Axes, width: float) -> None:
    """Writes the width in the corner above the largest eigenvalues, which is empty."""
    place = {"transform": ax.transAxes, "ha": "right", "va": "top"}
    ax.text(0.98, 0.98, f"σ = {width:.2g}", fontsize="small", color=GREY, **place)
