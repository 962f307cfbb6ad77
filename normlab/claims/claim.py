"""What a claim is made of, and what is said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from normlab.claims.evidence import Evidence
from normlab.claims.rules import Rule


@dataclass(frozen=True)
class Measure:
    """A number a member.

    Attributes:
      words: what it is.
      unit: ``points`` (of 100 for an accuracy), ``nats``, ...
      of: (evidence, members' numbers, statistics) -> a value each, by number;
        members it was not measured for may be left out.
      ratio: whether two sides are compared by their ratio and not their difference.
    """

    words: str
    unit: str
    of: Callable[[Evidence, pd.Index, str], pd.Series]
    ratio: bool = False


@dataclass(frozen=True)
class Side:
    """Members of the same settings: one side of a comparison.

    Attributes:
      name: what sets them apart, in words.
      flagfile: which experiment gives them.
      where: setting -> its value, a tuple of values, or a function that says whether it
        is one. What is not named may be anything, but the same on all sides.
      statistics: those by which norms with running averages are evaluated.
      across: (setting, reduction) where a seed's value is made of several members: over
        ``lr`` the ``max`` or ``min``, or the range ``np.ptp``. Where ``where`` lists
        values of the setting, seeds without all of them are left out.
    """

    name: str
    flagfile: str
    where: Mapping[str, Any]
    statistics: str = "running"
    across: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Part:
    """One statistic over seeds, and the rule it is judged by.

    Attributes:
      statistic: what is measured, in words.
      measure: of every member.
      sides: one; two, of which the second is taken from the first; or four, where the
        difference of the last two is taken from that of the first two.
      rule: of the interval.
      unit: of the statistic.
      offset: a published number that is taken from the value of a single side.
    """

    statistic: str
    measure: Measure
    sides: tuple[Side, ...]
    rule: Rule
    unit: str
    offset: float = 0.0

    @property
    def needs(self) -> tuple[str, ...]:
        """The flagfiles of the sides, each once."""
        return tuple(dict.fromkeys(side.flagfile for side in self.sides))


@dataclass(frozen=True)
class Claim:
    """A sentence that runs can support or contradict.

    Attributes:
      sentence: as its source makes it.
      source: where it stands.
      parts: what is tested; one, or several.
      most: whether it speaks of most parts; else it speaks of all.
      remark: what a reader of the verdict should know.
    """

    id: str
    sentence: str
    source: str
    parts: tuple[Part, ...] = field(default=())
    most: bool = False
    remark: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The flagfiles of all parts, each once."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.needs))


class Verdict(NamedTuple):
    """What the runs say of a claim, or of one of its parts.

    Attributes:
      id: of the claim; of its k-th part ``<id>.<k>``.
      sentence, source: of the claim.
      verdict: ``supported``, ``contradicted`` or ``undecided``.
      statistic: what is measured, in words.
      unit: of median, low and high.
      median, low, high, n, coverage: as in
        `normlab.statistics.intervals.Interval`; NaN and 0 where nothing was found.
      rule: in words.
      needs: flagfiles whose runs are read.
      missing: those that no given run has the rows of.
      runs: run directories whose rows were used.
      note: a sentence where there is something to say, else "".
      claim: the id of the claim that is judged, or a part of which is.
    """

    id: str
    sentence: str
    source: str
    verdict: str
    statistic: str
    unit: str
    median: float
    low: float
    high: float
    n: int
    coverage: float
    rule: str
    needs: tuple[str, ...]
    missing: tuple[str, ...]
    runs: tuple[str, ...]
    note: str
    claim: str

    @property
    def is_part(self) -> bool:
        """Whether it is of a part, and not of a whole claim."""
        return self.id != self.claim


def difference(measure: Measure, a: Side, b: Side, rule: Rule, place: str = "") -> Part:
    """``a`` minus ``b``, or ``a`` over ``b`` where the measure says so."""
    relation = "over" if measure.ratio else "minus"
    unit = "ratio" if measure.ratio else measure.unit
    words = _place(f"{measure.words}, {a.name} {relation} {b.name}", place)
    return Part(words, measure, (a, b), rule, unit)


def level(
    measure: Measure, side: Side, rule: Rule, place: str = "", offset: float = 0.0
) -> Part:
    """The value of one side, less ``offset``."""
    words = f"{measure.words}, {side.name}"
    if offset:
        words += f", minus the published {offset:.4g}"
    return Part(_place(words, place), measure, (side,), rule, measure.unit, offset)


def interaction(
    measure: Measure,
    first: tuple[Side, Side],
    second: tuple[Side, Side],
    rule: Rule,
    place: str = "",
) -> Part:
    """How much more ``first`` differ than ``second``: a difference of differences."""
    (a, b), (c, d) = first, second
    words = f"({a.name} minus {b.name}) minus ({c.name} minus {d.name})"
    words = _place(f"{measure.words}, {words}", place)
    return Part(words, measure, (a, b, c, d), rule, measure.unit)


def _place(words: str, place: str) -> str:
    return f"{words}; {place}" if place else words
