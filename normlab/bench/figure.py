"""A benchmark as a figure: milliseconds as points, with one panel per norm.

The axis is logarithmic and has no zero, so bars would have an arbitrary length.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from normlab.figures.colours import MARKERS, others
from normlab.figures.headings import title
from normlab.figures.style import style  # which sees to matplotlib's import

# isort: split
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from normlab.bench.block import Block
from normlab.words import counted

_THICK = 0.8  # thickness of bars, relative to the distance between contenders


def tabulate(blocks: Sequence[Block], machine: str) -> pd.DataFrame:
    """The table for `draw`: one row per contender and block.

    The columns are ``dataset``, ``norm``, ``batch_size``, ``members``, ``contender``,
    ``median``, ``low`` and ``high`` (milliseconds per member and step: the median and
    the range of ``n`` timed runs of ``steps`` steps) and ``machine``.
    """
    rows = [
        {
            "dataset": block.dataset,
            "norm": block.norm,
            "batch_size": block.batch_size,
            "members": block.members,
            "contender": row.contender,
            "median": row.median,
            "low": min(row.ms),
            "high": max(row.ms),
            "n": len(row.ms),
            "steps": row.steps,
            "machine": machine,
        }
        for block in blocks
        for row in block.rows
    ]
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """One column per norm, one row per member count, one colour per batch size."""
    norms, counts = list(dict.fromkeys(table["norm"])), table["members"].unique()
    contenders = list(dict.fromkeys(table["contender"]))
    sizes = list(dict.fromkeys(table["batch_size"]))
    bars = len(contenders) * len(sizes)
    with style():
        figure = Figure(
            figsize=(1.8 + 2.5 * len(norms), 1.2 + len(counts) * (0.7 + 0.17 * bars)),
            layout="constrained",
        )
        axes = figure.subplots(
            len(counts), len(norms), sharex=True, sharey=True, squeeze=False
        )
        for ax_row, members in zip(axes, counts, strict=True):
            for ax, norm in zip(ax_row, norms, strict=True):
                in_panel = (table["norm"] == norm) & (table["members"] == members)
                _panel(ax, table[in_panel], contenders, sizes)
                ax.set_title(f"norm {norm}, {counted(members, 'member')}")
        for ax in axes[-1]:
            ax.set_xlabel("ms per member and step")
        axes[0, 0].set_xscale("log")
        axes[0, 0].set_xlim(*_limits(table))
        axes[0, 0].xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes[0, 0].xaxis.set_major_formatter("{x:g}")
        axes[0, 0].xaxis.set_minor_formatter(NullFormatter())
        axes[0, 0].invert_yaxis()
        title(figure, _title(table).split("\n"), _says(table))
        if len(sizes) > 1:
            handles, labels = axes[0, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _panel(
    ax: Axes, table: pd.DataFrame, contenders: list[str], sizes: list[int]
) -> None:
    height = _THICK / len(sizes)
    for i, size in enumerate(sizes):
        rows = table[table["batch_size"] == size].set_index("contender")
        if rows.empty:
            continue  # not measured yet
        rows = rows.reindex(contenders)  # also those that were left out
        y = np.arange(len(contenders)) + height * (i - (len(sizes) - 1) / 2)
        ax.errorbar(
            rows["median"],
            y,
            xerr=[rows["median"] - rows["low"], rows["high"] - rows["median"]],
            color=others(len(sizes))[i],
            linestyle="none",
            marker=MARKERS[i % len(MARKERS)],
            markersize=4.5,
            elinewidth=1.2,
            capsize=2.0,
            label=f"batch {size}",
        )
        for at, median, high in zip(y, rows["median"], rows["high"], strict=True):
            ran = np.isfinite(median)
            ax.annotate(
                f"{median:.3g}" if ran else "left out",
                (high if ran else 0, at),
                xycoords="data" if ran else ("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    ax.set_yticks(range(len(contenders)), contenders)
    ax.grid(axis="y", visible=False)


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    """Limits of the time axis, with space for short bars and for the numbers."""
    low, high = float(table["low"].min()), float(table["high"].max())
    return low / 2, high * (high / low) ** 0.25 * 1.3


def _says(table: pd.DataFrame) -> str:
    """The fastest contender of the largest block."""
    last = table[table["members"] == table["members"].max()]
    if not np.isfinite(last["median"]).any():
        return ""
    best = last.loc[last["median"].idxmin()]
    which = f"norm {best['norm']}, batch {best['batch_size']}"
    many = counted(best["members"], "member")
    return (
        f"Fastest with {many}: {best['contender']}, {best['median']:.3g} ms per member "
        f"and step ({which})"
    )


def _title(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    sizes = ", ".join(str(size) for size in table["batch_size"].unique())
    runs = counted(first["n"], "run")
    return (
        f"{first['dataset']}, batch {sizes}: median and range of {runs}\n"
        f"{first['machine']}"
    )
