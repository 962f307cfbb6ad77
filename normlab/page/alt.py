"""The alternative text of a figure, made from the table that it plots."""

import pandas as pd

from normlab.figures.tables import RUN
from normlab.statistics.intervals import interval_name

_MOST_NAMES, _MOST_METRICS = 8, 3
_ACROSS = ("epoch", "step")


def alt_text(what: str, table: pd.DataFrame) -> str:
    """Describes a figure: its subject, data, intervals, and the final values.

    Args:
      what: a sentence that describes the figure.
      table: the figure's table (see `normlab.figures.tables` for its columns).
    """
    parts = [what.strip().rstrip(".")]
    place = next((name for name in ("where", "dataset") if name in table), None)
    if place and len(table):
        parts.append(f"Data: {table[place].iloc[0]}")
    run = table[table["source"] == RUN] if "source" in table else table
    names = {"setting": "Shown", "experiment": "Panels"}
    if "experiment" not in run and "point" in run and run["point"].nunique() > 1:
        names["point"] = "Panels"
    parts += [
        f"{word}: {_few(run[name])}" for name, word in names.items() if name in run
    ]
    if "n" in run and len(run):
        parts.append(f"Median and {interval_name(run['n'])}")
    if "source" in table:
        beside = [x for x in dict.fromkeys(table["source"]) if x != RUN]
        parts += [f"Compared with: {name}" for name in beside]
    return ". ".join([*parts, *_ends(run)]) + "."


def _few(values: pd.Series) -> str:
    names = [str(x) for x in dict.fromkeys(values)]
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _ends(run: pd.DataFrame) -> list[str]:
    """One sentence per metric: each setting's best value at its last point."""
    if not {"metric", "setting", "median"} <= set(run):
        return []
    sentences = []
    for metric, rows in list(run.groupby("metric", sort=False))[:_MOST_METRICS]:
        across = next((name for name in _ACROSS if name in rows), None)
        place = [name for name in ("point", "experiment") if name in rows]
        if across:
            last = rows.groupby(["setting", *place])[across].transform("max")
            rows = rows[rows[across] == last]
        higher = "accuracy" in str(metric)
        best = rows.groupby("setting", sort=False)["median"].agg(
            "max" if higher else "min"
        )
        ends = [f"{name} {value:.3g}" for name, value in best.dropna().items()]
        if ends:
            word = "highest" if higher else "lowest"
            end = "final " if across else ""
            sentences.append(
                f"{word.capitalize()} {end}{str(metric).replace('_', ' ')}: "
                + ", ".join(ends[:_MOST_NAMES])
            )
    return sentences
