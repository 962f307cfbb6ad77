"""What is seen in a figure: a sentence that is computed from the figure's table.

It compares the settings where they are farthest apart and says whether the intervals
there overlap. A setting is not compared if half of its networks diverged or guess
(but the accuracy of those that guess is), and neither is a curve that ends early. The
sentence names them, even if it has nothing else to say.
"""

from typing import Any

import numpy as np
import pandas as pd

from normlab.config import STATIC_AXES
from normlab.figures.failed import AT_CHANCE, Failed
from normlab.figures.messages import ends_early
from normlab.figures.tables import RUN
from normlab.page.seen_words import (
    counted_names,
    quantity,
    told,
    where_words,
    with_words,
)
from normlab.statistics.digits import plain
from normlab.statistics.finals import place_text

# Columns that hold neither a value nor a place where values are compared.
_OTHER = {
    "median", "low", "high", "n", "coverage", "source", "diverged", "where",
    "loss_unit", "steps_averaged", "line", "experiment", "panel", "eta_from", "eta_to",
    "time", "failed", "early", "trains",
}  # fmt: skip
_ACROSS = ("epoch", "step")
_NONE: Failed = {}
# In the figure of numbers of groups, they stand for the norm's label.
_COUNT, _GROUP = r"^(\d+)$", r"group (G=\1)"
# What is compared, in order: the first column of these with several values.
_COMPARED = ("groups", "setting", "batch_size", "lr", "layer")
# The metric that is told if there are several.
_FIRST = (
    "test_accuracy", "test_loss", "train_accuracy", "train_loss", "beta", "cosine",
    "penalized", "relative_error", "removed",
)  # fmt: skip


def all_seen(
    table: pd.DataFrame, name: str = "", failed: Failed = _NONE
) -> dict[str, str]:
    """`seen` of each metric in the table, and of the main one as ``""``."""
    column = _metric_column(table)
    metrics = [] if column is None else [str(x) for x in dict.fromkeys(table[column])]
    return {metric: seen(table, name, metric, failed) for metric in ("", *metrics)}


def seen(
    table: pd.DataFrame, name: str = "", metric: str = "", failed: Failed = _NONE
) -> str:
    """A sentence about the figure, or "" if its table has nothing to compare.

    Args:
      table: the figure's table (see `normlab.figures.tables` for its columns).
      name: the name of the figure, which is what it shows if there is no metric.
      metric: which metric to tell of; by default the most important one.
      failed: the settings that do not train (`normlab.figures.failed`).
    """
    rows = table[table["source"] == RUN] if "source" in table else table
    if {"density", "left", "right", "setting"} <= set(rows):
        return _widths(rows)
    if not {"median", "low", "high"} <= set(rows) or rows.empty:
        return ""
    rows, metric = _of_one_metric(rows, metric)
    rows = _split(rows.assign(failed=why_failed(rows, failed)))
    compared = next((c for c in _COMPARED if c in rows and _many(rows, c)), None)
    if compared is None:
        return ""
    is_finite = np.isfinite(rows["median"])
    lost, rows = rows[~is_finite], rows[is_finite]
    rows = rows.assign(early=_early(rows, compared))
    # An accuracy at chance is a result. Other quantities of a network that does not
    # train say nothing, and neither do the seeds that are left if half diverged.
    trains = rows["failed"].eq("")
    if "accuracy" in metric:
        trains |= rows["failed"].eq(AT_CHANCE)
    counts = rows["early"].eq("") & trains
    ends, when = _reduced(rows[counts], metric, compared)
    text = _farthest(ends, compared, metric or name, when)
    others = f"{_lost(lost, rows, compared)}{_aside(rows, ~counts, compared)}"
    if not text and others and len(ends) == 1:
        said = told(ends.iloc[0], compared, metric)
        text = f"The {when}{quantity(metric or name)} is {said}."
    return f"{text}{others}".strip()


def why_failed(rows: pd.DataFrame, failed: Failed) -> list[str]:
    """Why the networks of each row of a figure's table do not train, or ""."""
    if not failed or "setting" not in rows:
        return [""] * len(rows)
    known = {_parts(*key): why for key, why in failed.items()}
    words = [rows["setting"].astype(str)]
    if "point" in rows or "lr" in rows:
        words.append(rows["point"] if "point" in rows else place_text(rows))
    # What a figure has along its axis is not in its labels.
    names = {part.partition(" ")[0] for parts in known for part in parts}
    axes = [name for name in STATIC_AXES if name in rows and name in names]
    words += [f"{name} " + rows[name].astype(str) for name in axes]
    if "groups" in rows:
        words.append(rows["groups"].astype(str).str.replace(_COUNT, _GROUP, regex=True))
    return [known.get(_parts(*each), "") for each in zip(*words, strict=True)]


def _parts(*labels: str) -> frozenset[str]:
    """The parts of labels, but not by which statistics a value is evaluated."""
    parts = {part for label in labels for part in label.split(", ")}
    return frozenset(part for part in parts if part and not part.startswith("by "))


def _early(rows: pd.DataFrame, compared: str) -> pd.Series:
    """Of each row, where its curve ends if that is far before others, or ""."""
    across = next((name for name in _ACROSS if name in rows), None)
    if across is None or rows.empty:
        return pd.Series("", index=rows.index)
    keys = [compared, *_places(rows, compared, across)]
    last = rows.groupby(keys, sort=False, dropna=False)[across].transform("max")
    ends = {end: ends_early(pd.Series({across: end}), rows) for end in last.unique()}
    return last.map(ends)


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
    if parts[0].nunique() < 2:  # other settings of one norm are compared
        one = parts[2].ne("").all() and parts[2].nunique() > 1
        return rows.assign(setting=parts[2]) if one else rows
    if parts[2].nunique() < 2:
        return rows
    rests = {text: text.split(", ") for text in parts[2].unique()}
    shared = set.intersection(*map(set, rests.values()))
    own = {
        text: ", ".join(word for word in words if word not in shared)
        for text, words in rests.items()
    }
    return rows.assign(setting=parts[0], rest=parts[2].map(own))


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


def _spots(rows: pd.DataFrame, compared: str) -> list[str]:
    """The columns that make a place, where whole curves are compared."""
    return [x for x in _places(rows, compared, None) if x not in _ACROSS]


def _lost(rows: pd.DataFrame, finite: pd.DataFrame, compared: str) -> str:
    """Which settings have places without a finite value: their networks diverged."""
    keys = [compared, *_spots(rows, compared)]
    known = set(finite[keys].itertuples(index=False, name=None))
    once = rows.drop_duplicates(keys)
    named = counted_names(
        with_words(compared, row)
        for (_, row), key in zip(
            once.iterrows(), once[keys].itertuples(index=False, name=None), strict=True
        )
        if key not in known
    )
    return f" No finite value: {named}." if named else ""


def _aside(rows: pd.DataFrame, out: pd.Series, compared: str) -> str:
    """Which settings, those of the rows ``out``, are not compared, where and why."""
    spots = _spots(rows, compared)
    once = rows[out].drop_duplicates([compared, *spots])
    reasons = once["failed"].where(once["failed"] != "", once["early"])
    places: dict[tuple[str, str], list[str]] = {}
    for (_, row), why in zip(once.iterrows(), reasons, strict=True):
        where = where_words(spots, tuple(row[spots]), rows)
        places.setdefault((with_words(compared, row), why), []).append(where)

    said = []
    for (name, why), found in places.items():
        many = len(found) > 1
        where = f", in {len(found)} places" if many else f" {found[0]}".rstrip()
        said.append(f"{name} ({why}{where})")
    return f" Not compared: {', '.join(said)}." if said else ""


def _farthest(rows: pd.DataFrame, compared: str, metric: str, when: str) -> str:
    places = _spots(rows, compared)
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
    where = where_words(places, place, rows)
    name = quantity(metric)
    high, low = (told(r, compared, metric) for r in (most, least))
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
        text += (
            f". In {others} of {len(pairs)} such comparisons, the intervals of the "
            "extremes do not overlap"
        )
    return f"{text}."


def _gap(least: pd.Series, most: pd.Series, metric: str) -> float:
    low, high = float(least["median"]), float(most["median"])
    if "accuracy" in metric or metric == "cosine" or low <= 0:
        return high - low
    return float(np.log(high / low))


def _widths(rows: pd.DataFrame) -> str:
    """The standard deviations of histograms at the last step."""
    rows = rows[rows["step"] == rows["step"].max()]
    if "side" in rows and "after" in set(rows["side"]):
        rows = rows[rows["side"] == "after"]
    if "norm_layer" in rows:
        rows = rows[rows["norm_layer"] == rows["norm_layer"].iloc[-1]]
    words = []
    for _, own in rows.groupby("setting", sort=False):
        weight = own["density"] * (own["right"] - own["left"])
        if not weight.sum() > 0:
            continue
        middle = (own["left"] + own["right"]) / 2
        mean = (weight * middle).sum() / weight.sum()
        spread = (weight * (middle - mean) ** 2).sum() / weight.sum()
        words.append(
            f"{plain(float(np.sqrt(spread)))} {with_words('setting', own.iloc[0])}"
        )
    if not words:
        return ""
    step = int(rows["step"].iloc[0])
    return f"At step {step}, the standard deviation is {', '.join(words)}."
