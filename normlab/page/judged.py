"""The ledger in the form that the page shows: claims with their parts under them."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from normlab.claims import CLAIMS, Verdict
from normlab.claims.bounds import Distance, bound_words, distance, part_of, shortfall
from normlab.claims.rules import VERDICTS
from normlab.statistics.digits import interval_text, plain
from normlab.statistics.intervals import short


@dataclasses.dataclass(frozen=True)
class Judged:
    """A row of the ledger, with the text and links that the page adds.

    Attributes:
      verdict: the row of the ledger.
      value: the estimate with its interval and unit, or "" without data.
      interval: a description of the interval.
      bound: the bound that decides, in words, or "".
      distance: how far the interval lies from its bound; None if that has no meaning.
      scale: the scale of the runs if it falls short of the source's, or "".
      sized: whether it falls short in a size, and not only in the kind of network.
      details: name -> text, about the test: p-values, its check, what would decide it.
      runs: name -> the link to the run's section, or "" if it is not on the page.
      parts: the verdicts on the claim's parts.
    """

    verdict: Verdict
    value: str
    interval: str
    bound: str
    distance: Distance | None
    scale: str
    sized: bool
    runs: Mapping[str, str]
    details: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parts: "tuple[Judged, ...]" = ()

    @property
    def anchor(self) -> str:
        """The permanent address of a claim on the page."""
        return f"claim-{self.verdict.id}"

    @property
    def name(self) -> str:
        """The claim in a few words; "" for a part of a claim that is not shown."""
        claim = CLAIMS.get(self.verdict.id)
        return claim.name if claim else ""

    @property
    def measured(self) -> bool:
        """Whether a run reaches the claim or one of its parts."""
        return bool(self.verdict.n) or any(part.verdict.n for part in self.parts)


def judged(verdicts: Iterable[Verdict], sections: Mapping[str, str]) -> list[Judged]:
    """The claims in order. A part without its claim gets a row of its own.

    Args:
      verdicts: the ledger.
      sections: run -> the link to its section.
    """
    rows = [_judged(verdict, sections) for verdict in verdicts]
    claims = {row.verdict.claim for row in rows if not row.verdict.is_part}
    parts: dict[str, list[Judged]] = {}
    shown = []
    for row in rows:
        if row.verdict.is_part and row.verdict.claim in claims:
            parts.setdefault(row.verdict.claim, []).append(row)
        else:
            shown.append(row)
    return [
        dataclasses.replace(row, parts=tuple(parts.get(row.verdict.id, ())))
        for row in shown
    ]


def counts(rows: Iterable[Judged]) -> dict[str, int]:
    """The number of claims with each verdict that occurs; parts are not counted."""
    numbers = Counter(row.verdict.verdict for row in rows)
    order = (*VERDICTS, *(numbers.keys() - VERDICTS))
    return {name: numbers[name] for name in order if numbers[name]}


def _judged(verdict: Verdict, sections: Mapping[str, str]) -> Judged:
    runs = {Path(run).name: sections.get(run, "") for run in verdict.runs}
    by_name = {Path(run).name: address for run, address in sections.items()}
    runs = {name: address or by_name.get(name, "") for name, address in runs.items()}
    part = part_of(verdict, CLAIMS)
    bounds = () if part is None else (part.rule.bound, -part.rule.bound)
    value, interval = _value(verdict, bounds), ""
    if value and "[" in value:
        interval = f"{verdict.level:.0%} interval"
    elif value and verdict.n == 1:
        interval = "one seed, no interval"
    claim = CLAIMS.get(verdict.claim)
    short_of = shortfall(verdict.words.partition(": ")[2], claim)
    return Judged(
        verdict,
        value,
        interval,
        bound_words(part) if part else "",
        distance(verdict, part),
        short_of.words,
        bool(short_of.sizes),
        runs,
        _details(verdict),
    )


def _value(verdict: Verdict, bounds: tuple[float, ...]) -> str:
    """``-4.5 [-5.7, -3.4] points``, or "" without data."""
    if not verdict.n or math.isnan(verdict.estimate):
        return ""
    ends = (verdict.low, verdict.high)
    if any(map(math.isnan, ends)):
        text = plain(verdict.estimate)
    else:
        text = interval_text(verdict.estimate, *ends, bounds)
    return f"{text} {verdict.unit}".strip()


def _details(verdict: Verdict) -> dict[str, str]:
    """What is known of the test, by name."""
    found = {"Family": "" if verdict.is_part else verdict.family}
    if not math.isnan(verdict.own_p):
        found["p"] = _p(verdict.own_p)
    if verdict.adjusted:
        after = f"{verdict.adjusted} (p {_p(verdict.p_adjusted)})"
        found["After Holm's correction"] = after
    found["Check"] = verdict.check
    found["Other test images"] = _images(verdict)
    if verdict.exploratory:
        found["Seeds"] = "some had been seen before, so this verdict explores"
    found["Would be decided by"] = verdict.cost
    found["On a GPU"] = verdict.scripts
    found["Version of the rule"] = "" if verdict.is_part else verdict.version
    return {name: text for name, text in found.items() if text}


def _images(verdict: Verdict) -> str:
    """The interval for other test images of the same kind, and what it means."""
    if not verdict.images or math.isnan(verdict.low_images):
        return verdict.images
    low, high = short(verdict.low_images), short(verdict.high_images)
    return f"{verdict.images}: at most [{low}, {high}] {verdict.unit}"


def _p(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else f"{p:.2g}"
