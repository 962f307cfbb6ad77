"""The final values of a run as a grid: settings down, learning rates across."""

from typing import NamedTuple

import pandas as pd

from normlab.statistics.finals import best, main_metric, place_text, summarize
from normlab.statistics.intervals import Interval, interval_name

_MOST_TOLD = 5


class Final(NamedTuple):
    """A cell of the grid."""

    text: str
    n: int
    diverged: int
    best: bool


class Finals(NamedTuple):
    """What `summarize` found.

    Attributes:
      metric: what the run is judged by, in words.
      interval: what the brackets are.
      columns: the points of the dynamic axes.
      rows: setting -> a `Final` a column, or None; a row's best is marked.
      lead: the best of every setting, in a sentence; empty where none has finished.
      table: `summarize`'s own.
    """

    metric: str
    interval: str
    columns: list[str]
    rows: dict[str, list[Final | None]]
    lead: str
    table: pd.DataFrame


def read_finals(frame: pd.DataFrame) -> Finals:
    """The final values of the members that have finished."""
    metric = main_metric(frame)
    table = summarize(frame, metric)
    words = metric.replace("_", " ")
    if table.empty:
        return Finals(words, "", [], {}, "", table)
    placed = table.assign(place=place_text(table))
    higher = "loss" not in metric
    top = best(placed, higher)
    winners = {(row["setting"], row["place"]) for _, row in top.iterrows()}
    columns = list(dict.fromkeys(placed["place"]))
    grid: dict[str, list[Final | None]] = {}
    for _, row in placed.iterrows():
        at = grid.setdefault(row["setting"], [None] * len(columns))
        key = (row["setting"], row["place"])
        at[columns.index(key[1])] = Final(
            _text(row),
            int(row["n"]),
            int(row["diverged"]),
            key in winners and len(columns) > 1,
        )
    return Finals(
        words,
        interval_name(int(table["n"].max())),
        columns,
        grid,
        _lead(words, top, len(columns) > 1, higher),
        table,
    )


def _lead(words: str, top: pd.DataFrame, many: bool, higher: bool) -> str:
    """The best of every setting; of many settings the best alone."""
    begin = f"{'Best final' if many else 'Final'} {words}"
    if len(top) > _MOST_TOLD:
        begin = f"Best final {words} of {len(top)} settings"
        top = top.sort_values("median", ascending=not higher, kind="stable").head(1)
        many = True
    texts = [
        f"{row['setting']} {_text(row)}" + (f" at {row['place']}" if many else "")
        for _, row in top.iterrows()
    ]
    return f"{begin}: {'; '.join(texts)}."


def _text(row: pd.Series) -> str:
    """The interval in words; one value has none."""
    interval = Interval.of(row)
    return interval.text if interval.n > 1 else interval.text.partition(" ")[0]
