"""Reduces the members of a seed to one value: by a statistic, or to the best member.

The best member is the one with the highest validation accuracy, never the one with the
best value of the measure. Runs without validation images (``--validation``) have no
such accuracy. Then the test accuracy chooses, and the verdict says so.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from normlab.claims.claim import BEST, Side
from normlab.claims.evidence import Evidence
from normlab.claims.measures import FINAL_TEST, FINAL_VALIDATION


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
            told = "The best was chosen on test images, because no images are held out."
            found.append(told)
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
        ``lost``, ``share``, and the setting that the side reduces.

    Returns:
      ``value``, ``run`` and ``lost`` (summed), ``count``, ``share`` (that with the
      largest error), and of a best member ``by_test`` and ``at_end`` (`Choice`).
    """
    assert side.across is not None
    name, reduction = side.across
    groups = table.groupby(list(keys), dropna=False, as_index=False)
    if reduction != BEST:
        return groups.agg(
            value=("value", reduction),
            run=("run", "first"),
            lost=("lost", "sum"),
            count=("value", "size"),
            share=("share", _widest),
        )
    held_out, test = (
        measure.of(evidence, table.index, side.statistics).reindex(table.index)
        for measure in (FINAL_VALIDATION, FINAL_TEST)
    )
    score = held_out.fillna(test).astype(float)
    table = table.assign(score=score, by_test=held_out.isna().astype(int))
    table = table[table["score"].notna()]
    of = table.groupby(list(keys), dropna=False)
    table = table.assign(
        count=of["score"].transform("size"),
        lost=of["lost"].transform("sum"),
        at_end=_is_end(table[name], of[name]).astype(int),
    )
    first = table.sort_values("score", ascending=False, kind="stable")
    return first.drop_duplicates(list(keys)).reset_index(drop=True)


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
