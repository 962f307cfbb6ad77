"""Headlines of figures: one sentence on what is seen, computed from the figure's table.

They say what the medians are and no more. Whether two settings differ is for the ledger
(`normlab.claims`), which compares them seed by seed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from normlab.figures.tables import RUN
from normlab.words import conjoined, counted

_MOST = 5  # settings that a headline lists
_MOST_TIED = 3  # equal ones that it names
# A curve that ends before this share of the longest one is not as long.
_WHOLE = 0.9
_PLACES = ("point", "panel", "layer", "norm_layer", "statistics")
_POWERS = (1e-3, 1e5)


def short(value: float) -> str:
    """A number with three digits: ``0.686``, ``12.3``, ``4.6e-07``."""
    if value and not _POWERS[0] <= abs(value) < _POWERS[1]:
        return f"{value:.1e}"
    return f"{float(f'{value:.3g}'):g}"


def listed(what: str, values: Mapping[str, float]) -> str:
    """``gradient norm: none 3.1, batch 4.8``; of many settings, the two extremes.

    Settings whose value is not finite are named at the end. "" if no value is finite.
    Values that are equal as written are equal.
    """
    finite = {name: float(x) for name, x in values.items() if np.isfinite(x)}
    if not finite:
        return ""
    lost = _lost([name for name in values if name not in finite])
    if len(finite) > 1 and len({short(x) for x in finite.values()}) == 1:
        which = "the others" if lost else "all"
        return f"{what}: {short(next(iter(finite.values())))} for {which}{lost}"
    if len(finite) > _MOST:
        ends = [short(end(finite.values())) for end in (min, max)]
        at_end = [[k for k, x in finite.items() if short(x) == end] for end in ends]
        low, high = (
            f"{x} ({joined(names)})" for x, names in zip(ends, at_end, strict=True)
        )
        return f"{what}: from {low} to {high}{lost}"
    words = (f"{name} {short(x)}" for name, x in finite.items())
    return f"{what}: {', '.join(words)}{lost}"


def joined(names: Sequence[str], most: int = _MOST_TIED, many: str = "settings") -> str:
    """``none, batch and group``; if there are more than ``most``, ``7 settings``."""
    if len(names) > most:
        return f"{len(names)} {many}"
    return conjoined(names, "; " if any(", " in name for name in names) else ", ")


def _lost(names: list[str]) -> str:
    if len(names) > _MOST:
        return f"; no finite value: {len(names)} settings"
    return f"; no finite value: {', '.join(names)}" if names else ""


def medians(table: pd.DataFrame, what: str) -> str:
    """`listed`, of each setting's median over the rows of the run.

    Settings whose curves are not as long as the others', or are fewer, are named at the
    end: their medians are over less, such as the steps before they diverged.
    """
    ours = table[table["source"] == RUN] if "source" in table else table
    values = ours.groupby("setting", sort=False)["median"].median()
    said = listed(what, {str(name): x for name, x in values.items()})
    some = [str(name) for name in values.index if name in _partial(ours)]
    return f"{said}; shorter curves: {', '.join(some)}" if said and some else said


def _partial(rows: pd.DataFrame) -> set:
    """The settings that lack a curve, or whose curves end early."""
    places = [name for name in _PLACES if name in rows]
    x = _along(rows)
    if x is None or not places:
        return set()
    ends = rows[np.isfinite(rows["median"])].pivot_table(
        index=places, columns="setting", values=x, aggfunc="max", dropna=False
    )
    ends = ends.dropna(how="all")
    whole = ends.ge(_WHOLE * ends.max(axis=1), axis=0)
    return set(whole.columns[~whole.all()])


def _along(rows: pd.DataFrame) -> str | None:
    return next((name for name in ("epoch", "step") if name in rows), None)


def ends_early(row: pd.Series, rows: pd.DataFrame) -> str:
    """``ends at step 10``, if a curve's last row is far before others', or ""."""
    x = _along(rows)
    if x is None or row[x] >= _WHOLE * rows[x].max():
        return ""
    return f"ends at {x} {short(float(row[x]))}"


def highest(table: pd.DataFrame, what: str, lower: bool = False) -> str:
    """The best median: ``Highest test accuracy: 0.686 (none, lr 0.001)``.

    Rows that diverged (`_diverged`) are not ranked, unless there are no others. Values
    that are equal as written are a tie. If some seeds of a best one diverged, or its
    curve ends far before others, it is said. A shorter curve of which it is not known
    whether it diverged is not ranked, either, and is named.

    Args:
      table: rows with ``setting``, ``point`` and ``median``; from `last_rows`, for the
        ends of curves.
      what: the metric.
      lower: whether lower is better.
    """
    ours = table[table["source"] == RUN] if "source" in table else table
    ours = ours[np.isfinite(ours["median"])]
    if ours.empty:
        return ""
    diverged, early = _diverged(ours), _early(ours)
    unknown = early & ~diverged if "diverged" not in ours else early & False
    ranked, shorter = ours[~diverged & ~unknown], ours[unknown]
    if ranked.empty:
        ranked, shorter = ours, ours.head(0)
    values = ranked["median"]
    best = short(values.min() if lower else values.max())
    tied = ranked[values.map(short) == best]
    which = f"{_named(tied, 'a tie of ')}{_reservations(tied, ours)}"
    others = ""
    if len(shorter):
        others = f"; shorter curves, not ranked: {_named(shorter)}"
    return f"{'Lowest' if lower else 'Highest'} {what}: {best} ({which}){others}"


def _names(rows: pd.DataFrame) -> tuple[list[str], str]:
    """The rows' names, and the point of all of them, which is not in their names."""
    settings = rows["setting"].astype(str).tolist()
    points = rows["point"].astype(str).tolist() if "point" in rows else [""] * len(rows)
    if len(rows) > 1 and len(set(points)) == 1:
        return settings, points[0]
    return [", ".join(filter(None, x)) for x in zip(settings, points, strict=True)], ""


def _named(rows: pd.DataFrame, several: str = "") -> str:
    """The names of the rows, or how many they are; after ``several`` if not one."""
    names, common = _names(rows)
    if len(names) == 1:
        return names[0]
    if len(names) > _MOST_TIED:
        return f"{several}{len(names)}"
    return f"{several}{joined(names)}{f'; {common}' if common else ''}"


def _reservations(tied: pd.DataFrame, rows: pd.DataFrame) -> str:
    """What has to be said of the best rows, with a semicolon before each, or ""."""
    names, _ = _names(tied)
    said = [_reservation(row, rows) for _, row in tied.iterrows()]
    if len(said) == 1:
        return "".join(f"; {words}" for words in said[0])
    whose: dict[str, list[str]] = {}
    for name, words in zip(names, map(", ".join, said), strict=True):
        whose.setdefault(words, []).append(name)
    return "".join(
        f"; {joined(some, many='of them')}: {words}"
        for words, some in whose.items()
        if words
    )


def _reservation(row: pd.Series, rows: pd.DataFrame) -> list[str]:
    lost, seeds = (int(row.get(name, 0)) for name in _counts(rows))
    words = [f"{lost} of {counted(seeds, 'seed')} diverged"] if lost else []
    return [x for x in (*words, ends_early(row, rows)) if x]


def _counts(rows: pd.DataFrame) -> tuple[str, str]:
    """The columns of the numbers of diverged seeds and of all seeds."""
    return ("lost", "seeds") if "seeds" in rows else ("diverged", "n")


def _diverged(rows: pd.DataFrame) -> pd.Series:
    """Which rows diverged: half of the seeds did, or the curve breaks off.

    A curve may also be shorter because its run is: of fewer epochs, or unfinished.
    """
    lost, seeds = _counts(rows)
    diverged = pd.Series(False, rows.index)
    if lost in rows and seeds in rows:
        diverged |= rows[lost].gt(0) & (2 * rows[lost] >= rows[seeds])
    if "diverged" in rows:
        diverged |= _early(rows) & rows["diverged"].gt(0)
    return diverged


def _early(rows: pd.DataFrame) -> pd.Series:
    """Which rows, the ends of curves, are far before others."""
    x = _along(rows)
    if x is None:
        return pd.Series(False, rows.index)
    return rows[x] < _WHOLE * rows[x].max()


def last_rows(table: pd.DataFrame, x: str) -> pd.DataFrame:
    """The rows of the run at the end of each curve.

    If the table has ``n``, there are also ``seeds``, how many the curve has, and
    ``lost``, how many of them have no value at its end.
    """
    ours = table[table["source"] == RUN]
    curves = ours.groupby(["setting", "point"])
    if "n" in ours:
        seeds = curves["n"].transform("max")
        ours = ours.assign(seeds=seeds, lost=seeds - ours["n"])
    return ours[ours[x] == curves[x].transform("max")]
