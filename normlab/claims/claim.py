"""The data types of the ledger: claims and their parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from normlab.claims.evidence import Evidence
from normlab.claims.margins import margin_of
from normlab.claims.rules import Rule
from normlab.claims.scale import Scale

# Seeds that were run, and whose results were seen, before the rules were set.
SEEN = frozenset(range(6))
# (evidence, networks, statistics) -> values indexed by ``network``.
Values = Callable[[Evidence, pd.Index, str], pd.Series]


@dataclass(frozen=True)
class Measure:
    """One number per member.

    Attributes:
      words: a description.
      unit: ``points`` (percentage points of accuracy), ``nats``, ...
      of: (evidence, networks, statistics) -> values indexed by ``network``. It may omit
        members that were not measured.
      ratio: whether two sides are compared by their ratio instead of their difference.
      share: as `of`, for the share of test images, in percent, that the value depends
        on; None if it depends on none.
      late: whether the value is a mean over the last evaluations.
    """

    words: str
    unit: str
    of: Values
    ratio: bool = False
    share: Values | None = None
    late: bool = False


# The reduction to the best member, which is not chosen by the measured value.
BEST = "best"


@dataclass(frozen=True)
class Side:
    """One side of a comparison: members with the same settings.

    Attributes:
      name: a description that distinguishes this side from the others.
      flagfile: the experiment that trains these members.
      where: setting -> a value, a tuple of allowed values, or a predicate. Any other
        setting in `normlab.claims.compare.SHARED` may have any value, but must have the
        same value on all sides.
      statistics: the statistics used to evaluate norms that have running averages.
      across: (setting, reduction) if several members are reduced to one value per seed:
        for example ``("lr", "min")``, or ``np.ptp`` for the range; ``BEST`` takes the
        member of the best validation accuracy (`normlab.claims.best`). If ``where``
        lists the values of the setting, seeds that lack any of them are left out.
    """

    name: str
    flagfile: str
    where: Mapping[str, Any]
    statistics: str = "running"
    across: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Part:
    """One statistic over seeds, and the rule that judges it.

    Attributes:
      statistic: a description of the statistic.
      measure: computes the value of each member.
      sides: one side; two sides, for the first minus the second; or four sides, for
        (first minus second) minus (third minus fourth).
      rule: judges the statistic's interval.
      unit: the unit of the statistic.
      offset: a published number to subtract, if there is one side.
    """

    statistic: str
    measure: Measure
    sides: tuple[Side, ...]
    rule: Rule
    unit: str
    offset: float = 0.0

    @property
    def margin(self) -> float | None:
        """How large a difference has to be to matter; None if that has no meaning."""
        return margin_of(self.unit) if len(self.sides) > 1 else None

    @property
    def needs(self) -> tuple[str, ...]:
        """The flagfiles of the sides, each once."""
        return tuple(dict.fromkeys(side.flagfile for side in self.sides))


@dataclass(frozen=True)
class Claim:
    """A sentence that runs can support or contradict.

    A claim has one test, however many parts it has. Which one is its ``test``:

    * ``all``: all parts hold (the intersection-union test).
    * ``most``: more than half of them do (a partial conjunction).
    * ``pooled``: the mean over the parts, which have one measure and one rule.

    Attributes:
      id: a short unique name.
      sentence: the claim, close to the words of its source.
      source: the publication, with the page, figure or theorem.
      parts: the statistics; at least one.
      scale: the setting of the source. None for an identity.
      test: how the parts decide.
      chosen: words for every verdict on the claim, if settings were chosen to match
        what it is about. Then its verdict is no test.
      seen: the seeds whose results were seen before the rule was set or changed, or had
        left the claim undecided. A verdict on them explores. Five or more other seeds
        replace them.
      remark: a note for readers of the verdict.
      name: what it says in a few words, for plots. "Redone" is the report's experiment
        as it should have been run.
    """

    id: str
    sentence: str
    source: str
    parts: tuple[Part, ...] = field(default=())
    scale: Scale | None = None
    test: str = "all"
    chosen: str = ""
    seen: frozenset[int] = SEEN
    remark: str = ""
    name: str = ""

    @property
    def exact(self) -> bool:
        """Whether the claim is algebra, and no matter of statistics."""
        return all(part.rule.exact for part in self.parts)

    @property
    def needs(self) -> tuple[str, ...]:
        """The flagfiles of all parts, each once."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.needs))


def difference(measure: Measure, a: Side, b: Side, rule: Rule, place: str = "") -> Part:
    """``a`` minus ``b``, or ``a`` divided by ``b`` if the measure is a ratio."""
    relation = "over" if measure.ratio else "minus"
    unit = "ratio" if measure.ratio else measure.unit
    words = _place(f"{measure.words}, {a.name} {relation} {b.name}", place)
    return Part(words, measure, (a, b), rule, unit)


def level(
    measure: Measure, side: Side, rule: Rule, place: str = "", offset: float = 0.0
) -> Part:
    """The value of one side, minus ``offset``."""
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
    """The difference within ``first`` minus the difference within ``second``."""
    (a, b), (c, d) = first, second
    words = f"({a.name} minus {b.name}) minus ({c.name} minus {d.name})"
    words = _place(f"{measure.words}, {words}", place)
    return Part(words, measure, (a, b, c, d), rule, measure.unit)


def _place(words: str, place: str) -> str:
    return f"{words}; {place}" if place else words
