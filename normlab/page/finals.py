"""The final values of a run as a table: rows are settings, columns learning rates."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from normlab.cell import HYPERPARAMETERS
from normlab.figures.failed import AT_CHANCE, at_chance
from normlab.grouping import GROUPINGS
from normlab.settings.phrases import joined, label_phrases
from normlab.statistics.digits import interval_text, plain
from normlab.statistics.finals import (
    best,
    main_metric,
    place_text,
    ranking_metric,
    summarize,
)
from normlab.statistics.intervals import Interval, interval_name

_MOST_TOLD = 3
_DECIMALS = 3  # at most, of an accuracy


class Final(NamedTuple):
    """One entry of the table.

    Attributes:
      text: the median with its interval.
      note: what the table's caption does not say of it: fewer seeds than others have,
        networks that diverged or are at chance.
      best: whether it is the best value of its row, of several.
    """

    text: str
    note: str
    best: bool


class Finals(NamedTuple):
    """The final values of a run.

    Attributes:
      metric: the name of the run's main metric, in words.
      interval: what the brackets mean.
      axis: the name of the dynamic axes, in words; "" if the columns do not share it.
      columns: the heads of the columns: the values on those axes.
      rows: setting -> one `Final` or None per column. The best of a row is marked.
      each: what a row is, in words: a norm, or a row if other settings differ, too.
      lead: a sentence with the best value of every setting; "" if no member finished.
      table: the table that `summarize` returned.
    """

    metric: str
    interval: str
    axis: str
    columns: list[str]
    rows: dict[str, list[Final | None]]
    each: str
    lead: str
    table: pd.DataFrame


def read_finals(frame: pd.DataFrame) -> Finals:
    """The final values of the members that finished training."""
    metric = main_metric(frame)
    table = summarize(frame, metric)
    words = metric.replace("_", " ")
    if table.empty:
        return Finals(words, "", "", [], {}, "", "", table)
    placed = table.assign(place=place_text(table))
    higher, chooser = "loss" not in metric, ranking_metric(frame)
    scores = summarize(frame, chooser)
    ranks = scores.assign(place=place_text(scores))
    chosen = best(ranks, higher)[["setting", "place"]]
    top = chosen.merge(placed, on=["setting", "place"])
    guesses = at_chance(frame)
    winners = {(row["setting"], row["place"]) for _, row in top.iterrows()}
    columns = list(dict.fromkeys(placed["place"]))
    grid: dict[str, list[Final | None]] = {}
    for _, row in placed.iterrows():
        at = grid.setdefault(row["setting"], [None] * len(columns))
        key = (row["setting"], row["place"])
        at[columns.index(key[1])] = Final(
            _text(row, metric),
            _note(row, int(table["n"].max()), key in guesses),
            key in winners and len(columns) > 1,
        )
    axis, heads = column_heads(columns)
    return Finals(
        words,
        interval_name(table["n"]),
        axis,
        heads,
        grid,
        "row" if any(", " in setting for setting in grid) else "norm",
        _lead(metric, top, len(columns) > 1, higher),
        table,
    )


def most_decimals(metric: str) -> int | None:
    """How many decimals a value of the metric has at most; None if there is no limit.

    Accuracies are on a known scale, on which a fourth decimal does not matter.
    """
    return _DECIMALS if "accuracy" in metric else None


def _lead(metric: str, top: pd.DataFrame, many: bool, higher: bool) -> str:
    """A sentence with the best of every setting, or of many settings only the best."""
    words = metric.replace("_", " ")
    begin = f"{'Best final' if many else 'Final'} {words}"
    if len(top) > _MOST_TOLD:
        begin = f"Best final {words} of {len(top)} settings"
        top = top.sort_values("median", ascending=not higher, kind="stable").head(1)
        many = True
    texts = []
    for _, row in top.iterrows():
        place = label_words(row["place"]) if many else []
        words = joined([*label_words(row["setting"]), *place])
        texts.append(f"{_text(row, metric)} {words}")
    return f"{begin}: {'; '.join(texts)}."


def label_words(label: str) -> list[str]:
    """The parts of a label in words (`normlab.settings.phrases`)."""
    return label_phrases(label, GROUPINGS)


def heading(label: str) -> tuple[str, str]:
    """A label as the head of a row or column: its first part, and the rest in words.

    ``batch, norm_dense True`` is ``batch`` and ``with norms also after the dense
    layer``; ``lr 0.001`` is ``learning rate 0.001`` and nothing.
    """
    first, _, rest = label.partition(", ")
    name, _, value = first.partition(" ")
    if name in HYPERPARAMETERS:
        words = label_words(label)
        return ", ".join(_bare(one) for one in words), ""
    return first.replace("_", " "), joined(label_words(rest)) if rest else ""


def column_heads(columns: Sequence[str]) -> tuple[str, list[str]]:
    """The name that columns share, and the head of each.

    ``lr 0.01`` and ``lr 0.1`` are ``learning rate``, with ``0.01`` and ``0.1``. If they
    do not share a name, it is "", and each head is whole (`heading`).
    """
    parts = [[one.partition(" ")[::2] for one in each.split(", ")] for each in columns]
    named = {tuple(name for name, _ in each) for each in parts}
    if len(named) > 1 or any(name not in HYPERPARAMETERS for name in next(iter(named))):
        return "", [heading(each)[0] for each in columns]
    words = heading(columns[0])[0].split(", ")
    name = ", ".join(
        each.removesuffix(f" {value}")
        for each, (_, value) in zip(words, parts[0], strict=True)
    )
    return name, [", ".join(value for _, value in each) for each in parts]


def _note(row: pd.Series, most: int, guesses: bool) -> str:
    """What a caption that tells of ``most`` seeds does not say of a value."""
    n, diverged = int(row["n"]), int(row["diverged"])
    said = {f"n = {n}": n < most, f"{diverged} diverged": diverged > 0}
    said[AT_CHANCE] = guesses
    return ", ".join(words for words, holds in said.items() if holds)


def _bare(words: str) -> str:
    """Words without what joins them to a sentence."""
    return words.removeprefix("at ").removeprefix("a ").replace(" of ", " ")


def _text(row: pd.Series, metric: str) -> str:
    """The median with its interval, or a single value without one."""
    interval = Interval.of(row)
    ends = (interval.median, interval.low, interval.high)
    if interval.n < 2 or all(map(math.isnan, ends)):
        return plain(interval.median)
    if any(map(math.isnan, ends)) or interval.low == interval.high:
        return interval.text
    return interval_text(*ends, most=most_decimals(metric))
