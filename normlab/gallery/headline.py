"""The README's picture: which learning rates train the report's network, by norm.

It shows `confirm_lr`: every seed, and the median over seeds. The differences at high
learning rates are those of claim H4, with its measure.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from normlab.claims.evidence import Evidence
from normlab.claims.measures import FINAL_TEST
from normlab.data.tasks import chance_of
from normlab.figures.colours import looks
from normlab.figures.failed import NEAR
from normlab.figures.panels import GREY
from normlab.figures.style import style
from normlab.gallery.others import run_at
from normlab.statistics.intervals import number
from normlab.statistics.paired import Estimate, estimate

RUN = "confirm_lr"
_SIZE, _FONT = (8.0, 4.5), 11
# Label -> its short and its long name.
_NAMES = {
    "none": ("none", "no norm"),
    "batch": ("batch", "batch norm"),
    "group (G=4)": ("group", "group norm (4 groups)"),
}
_HIGH = 2  # so many of the learning rates are too high without a norm
_CHANCE = 100 * chance_of("cifar10")  # in percent
_FEW = 0.1  # a norm trains where no larger share of the seeds fails
_APART = 5.0  # the least distance between names of lines, in points of accuracy
_BESIDE = 1.25  # the factor from the last learning rate to the names of lines
_ASIDE = 1.1  # the factor between the dots of norms at one learning rate


def tabulate(experiments: Path) -> pd.DataFrame:
    """The final test accuracy, in percent, of every seed: one row per network."""
    evidence = Evidence.read([run_at(experiments, RUN)])
    members = evidence.members
    accuracy = FINAL_TEST.of(evidence, members.index, "running")
    return members[["label", "lr", "seed"]].assign(accuracy=accuracy)


def gain(table: pd.DataFrame, lr: float) -> Estimate:
    """Batch norm's accuracy minus that of no norm, paired by seed, in points."""
    at = table[np.isclose(table["lr"], lr)]
    wide = at.pivot(index="seed", columns="label", values="accuracy")
    return estimate((wide["batch"] - wide["none"]).to_numpy())


def title(table: pd.DataFrame) -> str:
    """What the table shows at the high learning rates."""
    rates = sorted(table["lr"].unique())[-_HIGH:]
    shares = _has_failed(table).groupby([table["label"], table["lr"]]).mean()
    if not all(gain(table, lr).low > 0 for lr in rates):
        return "Test accuracy by learning rate, with and without norms"
    most_fail = all(shares["none", lr] > 0.5 for lr in rates)

    def trains(label: str) -> bool:
        return all(shares.get((label, lr), 1.0) <= _FEW for lr in rates)

    if most_fail and trains("batch"):
        who = "Batch norm trains"
        if trains("group (G=4)"):
            who = "Both norms train"
        return f"{who} at learning rates where most seeds fail without a norm"
    return "At high learning rates, the network tests better with batch norm"


def draw(table: pd.DataFrame) -> Figure:
    """One line per norm through the medians, and a dot for every seed."""
    with style():
        figure = Figure(figsize=_SIZE, layout="constrained")
        ax = figure.subplots()
        styles = looks(_NAMES)
        ends: dict[str, float] = {}
        for i, label in enumerate(_NAMES):
            rows, color = table[table["label"] == label], styles[label]["color"]
            aside = rows["lr"] * _ASIDE ** (i - 1)
            ax.scatter(aside, rows["accuracy"], s=24, color=color, alpha=0.5, lw=0)
            medians = rows.groupby("lr")["accuracy"].median()
            marker = styles[label]["marker"]
            ax.plot(medians, color=color, marker=marker, linewidth=2.2, markersize=6)
            ends[label] = float(medians.iloc[-1])
        bold: dict[str, Any] = {"fontsize": _FONT, "fontweight": "bold", "va": "center"}
        for label, place in apart(ends).items():
            at, name = table["lr"].max() * _BESIDE, _NAMES[label][1]
            ax.text(at, place, name, color=styles[label]["color"], **bold)
        _axes(ax, table)
        rates = sorted(table["lr"].unique())
        for lr in rates[-_HIGH:]:
            _write(ax, lr, _gained(gain(table, lr)), "center")
            _write(ax, lr, _at_chance(table, lr), "center", y=0.6)
        _write(ax, rates[-_HIGH] / 1.6, "networks at chance:", y=3)
        _write(
            ax, rates[-_HIGH] / 1.6, "batch norm minus no norm,\nmean [95% interval]:"
        )
        _write(
            ax,
            rates[0],
            f"the medians differ by at most\n{_most(table):.1f} points",
            y=48,
            ha="left",
        )
        figure.suptitle(title(table), fontsize=_FONT + 1, fontweight="bold")
        seeds = table["seed"].nunique()
        ax.set_title(
            "Test accuracy of the student report's network on CIFAR-10 after 3 epochs: "
            f"each of {seeds} seeds, and their median",
            fontsize=_FONT - 1.5,
            color=GREY,
        )
    return figure


def apart(ends: dict[str, float]) -> dict[str, float]:
    """Where the names of lines stand: at their ends, but not on each other."""
    places: dict[str, float] = {}
    for name in sorted(ends, key=ends.__getitem__):
        below = max(places.values(), default=-np.inf)
        places[name] = max(ends[name], below + _APART)
    return places


def _gained(gained: Estimate) -> str:
    low, high = gained.low, gained.high
    return f"{gained.estimate:+.0f} points\n[{low:.0f}, {high:.0f}]"


def _at_chance(table: pd.DataFrame, lr: float) -> str:
    """How many networks have not learned: ``none 3 of 5``."""
    at = table[np.isclose(table["lr"], lr)]
    failed = at[_has_failed(at)].groupby("label").size()
    seeds = at["seed"].nunique()
    counts = {name: failed.get(label, 0) for label, (name, _) in _NAMES.items()}
    return "\n".join(f"{name} {n} of {seeds}" for name, n in counts.items() if n)


def _has_failed(table: pd.DataFrame) -> pd.Series:
    """Which networks are at chance, or have diverged."""
    return table["accuracy"].le(_CHANCE + 100 * NEAR) | table["accuracy"].isna()


def _most(table: pd.DataFrame) -> float:
    """The largest difference between medians at the lower learning rates, in points."""
    medians = table.groupby(["lr", "label"])["accuracy"].median().unstack()
    ranges = medians.max(axis=1) - medians.min(axis=1)
    return float(ranges.sort_index().iloc[:-_HIGH].max())


def _write(ax: Axes, lr: float, text: str, ha: str = "right", y: float = 75) -> None:
    ax.text(lr, y, text, ha=ha, va="bottom", fontsize=_FONT - 1.5, color=GREY)


def _axes(ax: Axes, table: pd.DataFrame) -> None:
    rates = sorted(table["lr"].unique())
    ax.set_xscale("log")
    ax.set_xlim(rates[0] / 1.3, rates[-1] * 4.4)  # room for the names
    ax.xaxis.set_major_locator(FixedLocator(rates))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    ax.set_ylim(0, 86)
    ax.yaxis.set_major_locator(FixedLocator(range(0, 81, 20)))
    ax.plot(rates, [_CHANCE] * len(rates), ":", color=GREY, linewidth=1)
    ax.text(rates[0], _CHANCE + 1, "chance", fontsize=_FONT - 1.5, color=GREY)
    ax.set_xlabel("learning rate (Adam)", fontsize=_FONT)
    ax.set_ylabel("test accuracy (%)", fontsize=_FONT)
    ax.tick_params(labelsize=_FONT - 1)
