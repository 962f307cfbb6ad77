"""Reduces the members of a seed to one value: by a statistic, or to the best member.

The best member is the one with the highest validation accuracy, never the one with the
best value of the measure. Runs without validation images (``--validation``) have no
such accuracy. Then the test accuracy chooses, and the verdict says so.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from normlab.claims.claim import BEST, Part, Side
from normlab.claims.evidence import Evidence
from normlab.claims.measures import FINAL_TEST, FINAL_VALIDATION

BY_TEST = "The best was chosen on test images, because no images are held out."


class Choice(NamedTuple):
    """How best members were chosen.

    Attributes:
      count: the number of choices.
      by_test: of these, the choices by test accuracy.
      at_end: of these, the choices at an end of the values that were tried.
    """

    count: int = 0
    by_test: int = 0
    at_end: int = 0

    @property
    def words(self) -> str:
        """What a reader has to know of the choices, or ""."""
        found = []
        if self.by_test:
            found.append(BY_TEST)
        if self.at_end:
            best = "1 best value" if self.count == 1 else f"{self.count} best values"
            lies = "lies" if self.at_end == 1 else "lie"
            found.append(f"{self.at_end} of {best} {lies} at an end of those tried.")
        return " ".join(found)


def reduced(
    table: pd.DataFrame, keys: Sequence[str], side: Side, evidence: Evidence
) -> pd.DataFrame:
    """One row for each combination of ``keys``, from the members of a side.

    Args:
      table: a row per member, indexed by network, with ``keys``, ``value``, ``run``,
        ``lost``, ``share``, and the setting that the side reduces, if it reduces one.

    Returns:
      ``value``, ``run``, ``lost`` (summed) and ``share`` (that with the largest error).
      If the side reduces a setting, also ``count``, and of a best member ``by_test``
      and ``at_end`` (`Choice`).
    """
    if side.across is None or table.empty:
        return table
    name, reduction = side.across
    if reduction == BEST:
        rows = _best(table, list(keys), name, side.statistics, evidence)
    else:
        rows = table.groupby(list(keys), dropna=False, as_index=False).agg(
            value=("value", reduction),
            run=("run", "first"),
            lost=("lost", "sum"),
            count=("value", "size"),
            share=("share", _widest),
        )
    # A best value or a range over only some of the listed values is not comparable.
    wanted = side.where.get(name)
    return rows[rows["count"] == len(wanted)] if wanted else rows


def _best(
    table: pd.DataFrame,
    keys: list[str],
    name: str,
    statistics: str,
    evidence: Evidence,
) -> pd.DataFrame:
    """The best member for each combination of ``keys``, over values of ``name``."""
    held_out, test = (
        measure.of(evidence, table.index, statistics).reindex(table.index)
        for measure in (FINAL_VALIDATION, FINAL_TEST)
    )
    score = held_out.fillna(test).astype(float)
    table = table.assign(score=score, by_test=held_out.isna().astype(int))
    table = table[table["score"].notna()]
    of = table.groupby(keys, dropna=False)
    table = table.assign(
        count=of["score"].transform("size"),
        lost=of["lost"].transform("sum"),
        at_end=_is_end(table[name], of[name]).astype(int),
    )
    first = table.sort_values("score", ascending=False, kind="stable")
    return first.drop_duplicates(keys).reset_index(drop=True)


def of_equal_choice(
    part: Part, tables: list[pd.DataFrame], keys: list[str]
) -> list[pd.DataFrame]:
    """The tables, where best members are chosen among the same values on all sides.

    The best of four learning rates is better than the best of two. So a value counts if
    all sides have it, seed by seed. Sides of different batch sizes may have equal rates
    or equal rates for each image of a batch (the linear rule): whichever leaves more.
    """
    places = [
        place
        for place, (side, table) in enumerate(zip(part.sides, tables, strict=True))
        if len(table) and side.across is not None and side.across[1] == BEST
    ]
    if not places:
        return tables

    def shared(linear: bool) -> list[pd.DataFrame]:
        rows = {p: _places(tables[p], keys, part.sides[p], linear) for p in places}
        common = functools.reduce(lambda a, b: a.intersection(b), rows.values())
        kept = {place: tables[place][own.isin(common)] for place, own in rows.items()}
        return [kept.get(place, table) for place, table in enumerate(tables)]

    return max(map(shared, (False, True)), key=lambda found: sum(map(len, found)))


def _places(
    table: pd.DataFrame, keys: list[str], side: Side, linear: bool
) -> pd.MultiIndex:
    """What tells the rows of a side apart, with the value that it chooses."""
    assert side.across is not None
    size = side.where.get("batch_size", 1) if linear else 1
    value = (table[side.across[0]].astype(float) / size).map(
        lambda x: float(f"{x:.6g}")
    )
    return pd.MultiIndex.from_frame(table[keys].assign(value=value))


def _widest(shares: pd.Series) -> float:
    """The share nearest to a half: its binomial variance is the largest."""
    known = shares.dropna()
    return float(known.iloc[(known - 50).abs().argmin()]) if len(known) else math.nan


def _is_end(values: pd.Series, groups) -> pd.Series:
    low, high = groups.transform("min"), groups.transform("max")
    return ((values == low) | (values == high)) & (low < high)


def choices(tables: Sequence[pd.DataFrame]) -> Choice:
    """The choices of the rows of all sides."""
    chosen = [table for table in tables if "by_test" in table]
    return Choice(
        sum(len(table) for table in chosen),
        sum(int(table["by_test"].sum()) for table in chosen),
        sum(int(table["at_end"].sum()) for table in chosen),
    )
