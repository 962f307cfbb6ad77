"""What is seen in a figure: a sentence that is computed from the figure's table.

It compares the settings where they are farthest apart and says whether the intervals
there overlap. It also says if a curve ends early, and which settings have no finite
value.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from normlab.figures.messages import ends_early
from normlab.figures.tables import RUN
from normlab.statistics.digits import interval_text, plain
from normlab.statistics.intervals import number

# Columns that hold neither a value nor a place where values are compared.
_OTHER = {
    "median", "low", "high", "n", "coverage", "source", "diverged", "where", "unit",
    "steps_averaged", "line", "experiment", "panel", "eta_from", "eta_to", "time",
}  # fmt: skip
_ACROSS = ("epoch", "step")
# What is compared, in order: the first column of these with several values.
_COMPARED = ("groups", "setting", "batch_size", "lr", "layer")
# The metric that is told if there are several.
_FIRST = (
    "test_accuracy", "test_loss", "train_accuracy", "train_loss", "beta", "cosine",
    "penalized", "relative_error", "removed",
)  # fmt: skip
_NAMES = {
    "beta": "effective smoothness",
    "difference": "change of the gradient",
    "cosine": "cosine of the gradients before and after the other layers' update",
    "gradient_norm": "norm of the gradient",
    "relative_error": "relative error of the identity",
    "removed": "share of the gradient that the norm removes",
    "penalized": "loss with its penalty",
    "gradient_norm_layers": "norm of the gradient",
    "santurkar_11": "change of the gradient",
}


def all_seen(table: pd.DataFrame, name: str = "") -> dict[str, str]:
    """`seen` of each metric in the table, and of the main one as ``""``."""
    column = _metric_column(table)
    metrics = [] if column is None else [str(x) for x in dict.fromkeys(table[column])]
    return {metric: seen(table, name, metric) for metric in ("", *metrics)}


def seen(table: pd.DataFrame, name: str = "", metric: str = "") -> str:
    """A sentence about the figure, or "" if its table has nothing to compare.

    Args:
      table: the figure's table (see `normlab.figures.tables` for its columns).
      name: the name of the figure, which is what it shows if there is no metric.
      metric: which metric to tell of; by default the most important one.
    """
    rows = table[table["source"] == RUN] if "source" in table else table
    if {"density", "left", "right", "setting"} <= set(rows):
        return _widths(rows)
    if not {"median", "low", "high"} <= set(rows) or rows.empty:
        return ""
    rows, metric = _of_one_metric(rows, metric)
    rows = _split(rows)
    compared = next((c for c in _COMPARED if c in rows and _many(rows, c)), None)
    if compared is None:
        return ""
    is_finite = np.isfinite(rows["median"])
    lost = rows[~is_finite]
    rows, when = _reduced(rows[is_finite], metric, compared)
    text = _farthest(rows, compared, metric or name, when)
    return f"{text}{_lost(lost, compared)}" if text else ""


def _many(rows: pd.DataFrame, name: str) -> bool:
    return rows[name].nunique() > 1


def _metric_column(rows: pd.DataFrame) -> str | None:
    return next((name for name in ("metric", "measure") if name in rows), None)


def _of_one_metric(rows: pd.DataFrame, wanted: str) -> tuple[pd.DataFrame, str]:
    """The rows of one metric, and its name."""
    column = _metric_column(rows)
    if column is None:
        return rows, ""
    names = list(dict.fromkeys(rows[column]))
    first = (name for name in (wanted, *_FIRST) if name in names)
    name = next(first, names[0])
    return rows[rows[column] == name].drop(columns=column), str(name)


def _split(rows: pd.DataFrame) -> pd.DataFrame:
    """Norms are compared where everything else is the same."""
    if "setting" not in rows:
        return rows
    parts = rows["setting"].astype(str).str.partition(", ")
    if parts[0].nunique() < 2 or parts[2].nunique() < 2:
        return rows
    return rows.assign(setting=parts[0], rest=parts[2])


def _reduced(
    rows: pd.DataFrame, metric: str, compared: str
) -> tuple[pd.DataFrame, str]:
    """One row for each curve: its end, or for a quantity its median over training."""
    across = next((name for name in _ACROSS if name in rows), None)
    # Batches differ, so their last loss says less than their median.
    ends = metric.startswith(("test_", "train_"))
    if across is None:
        return rows, "final " if ends else ""
    keys = [compared, *_places(rows, compared, across)]
    groups = rows.groupby(keys, sort=False, dropna=False)
    if ends:
        last = groups[across].transform("max")
        return rows[rows[across] == last], "final "
    # The interval of a median over training is not known: no step has it.
    middle = groups.agg({"median": "median", across: "max"}).reset_index()
    return middle, "median over training of the "


def _places(rows: pd.DataFrame, compared: str, across: str | None) -> list[str]:
    return [str(c) for c in rows if c not in {*_OTHER, compared, across}]


def _lost(rows: pd.DataFrame, compared: str) -> str:
    """Which settings have places without a finite value: their networks diverged."""
    counts = {_with(compared, r): 0 for _, r in rows.iterrows()}
    for _, row in rows.iterrows():
        counts[_with(compared, row)] += 1
    words = [
        f"{name} ({count} times)" if count > 1 else name
        for name, count in counts.items()
    ]
    return f" No finite value: {', '.join(words)}." if words else ""


def _farthest(rows: pd.DataFrame, compared: str, metric: str, when: str) -> str:
    places = _places(rows, compared, None)
    places = [name for name in places if name not in _ACROSS]
    groups: Any = (
        rows.groupby(places, sort=False, dropna=False) if places else [((), rows)]
    )
    # A single seed has no interval, and neither has a median over training.
    sure = "low" in rows and bool((rows["n"] > 1).all())
    pairs: list[tuple] = []
    for place, own in groups:
        if len(own) < 2 or not _many(own, compared):
            continue
        order = own.sort_values("median", kind="stable")
        least, most = order.iloc[0], order.iloc[-1]
        apart = bool(least["high"] < most["low"]) if sure else True
        pairs.append((apart, _gap(least, most, metric), place, least, most, own))
    if not pairs:
        return ""
    apart, _, place, least, most, own = max(pairs, key=lambda pair: pair[:2])
    where = _where(places, place, rows)
    name = _NAMES.get(metric, metric.replace("_", " ")) or "value"
    high, low = (_told(r, own, compared) for r in (most, least))
    begin = f"{where[:1].upper()}{where[1:]}, the {when}{name}" if where else ""
    begin = begin or f"The {when}{name}"
    if not apart:
        where = "everywhere" if len(pairs) > 1 else ""
        text = f"{begin} is {high} and {low}; the intervals overlap {where}".strip()
    elif len(own) == 2:
        text = f"{begin} is {high} and {low}"
    else:
        text = f"{begin} ranges from {high} to {low}"
    others = sum(pair[0] for pair in pairs)
    if len(pairs) > 1 and apart and sure:
        text += f". The intervals are apart in {others} of {len(pairs)} comparisons"
    return f"{text}."


def _gap(least: pd.Series, most: pd.Series, metric: str) -> float:
    low, high = float(least["median"]), float(most["median"])
    if "accuracy" in metric or metric == "cosine" or low <= 0:
        return high - low
    return float(np.log(high / low))


def _told(row: pd.Series, rows: pd.DataFrame, compared: str) -> str:
    """A value, of which setting it is, and whether its curve ends early."""
    early = ends_early(row, rows)
    return f"{_value(row)} {_with(compared, row)}" + (f" ({early})" if early else "")


def _value(row: pd.Series) -> str:
    if "low" not in row or row["low"] == row["median"] == row["high"]:
        return plain(float(row["median"]))
    return interval_text(float(row["median"]), float(row["low"]), float(row["high"]))


def _with(compared: str, row: pd.Series) -> str:
    value = row[compared]
    if compared == "setting":
        return "without a norm" if value == "none" else f"with {value}"
    text = number(float(value)) if isinstance(value, float) else str(value)
    return f"at {compared.replace('_', ' ')} {text}"


def _where(names: Sequence[str], place: Any, rows: pd.DataFrame) -> str:
    """The place in words, without what is the same everywhere."""
    values = place if isinstance(place, tuple) else (place,)
    words = []
    for name, value in zip(names, values, strict=True):
        if not _many(rows, name) or not str(value) or value != value:
            continue
        text = number(value) if isinstance(value, float) else str(value)
        plain_name = name in ("point", "setting", "rest", "layer", "norm_layer")
        words.append(text if plain_name else f"{name.replace('_', ' ')} {text}")
    text = ", ".join(words).replace("lr ", "a learning rate of ").replace("_", " ")
    return f"at {text}" if text else ""


def _widths(rows: pd.DataFrame) -> str:
    """The standard deviations of histograms at the last step."""
    rows = rows[rows["step"] == rows["step"].max()]
    if "side" in rows and "after" in set(rows["side"]):
        rows = rows[rows["side"] == "after"]
    if "norm_layer" in rows:
        rows = rows[rows["norm_layer"] == rows["norm_layer"].iloc[-1]]
    words = []
    for setting, own in rows.groupby("setting", sort=False):
        weight = own["density"] * (own["right"] - own["left"])
        if not weight.sum() > 0:
            continue
        middle = (own["left"] + own["right"]) / 2
        mean = (weight * middle).sum() / weight.sum()
        spread = (weight * (middle - mean) ** 2).sum() / weight.sum()
        words.append(f"{plain(float(np.sqrt(spread)))} with {setting}")
    if not words:
        return ""
    step = int(rows["step"].iloc[0])
    return f"At step {step}, the standard deviation is {', '.join(words)}."
