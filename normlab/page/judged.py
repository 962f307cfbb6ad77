"""The ledger in the form that the page shows: claims with their parts under them."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from normlab.claims import Verdict
from normlab.claims.rules import CONTRADICTED, SUPPORTED, UNDECIDED
from normlab.statistics.intervals import Interval

VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED)


@dataclasses.dataclass(frozen=True)
class Judged:
    """A row of the ledger, with the text and links that the page adds.

    Attributes:
      verdict: the row of the ledger.
      value: the median with its interval and unit, or "" without data.
      interval: a description of the interval.
      runs: name -> the link to the run's section, or "" if it is not on the page.
      parts: the verdicts on the claim's parts.
    """

    verdict: Verdict
    value: str
    interval: str
    runs: Mapping[str, str]
    parts: "tuple[Judged, ...]" = ()


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
    """The number of claims with each verdict; parts are not counted."""
    numbers = Counter(row.verdict.verdict for row in rows)
    return {name: numbers[name] for name in (*VERDICTS, *(numbers.keys() - VERDICTS))}


def _judged(verdict: Verdict, sections: Mapping[str, str]) -> Judged:
    runs = {Path(run).name: sections.get(run, "") for run in verdict.runs}
    by_name = {Path(run).name: address for run, address in sections.items()}
    runs = {name: address or by_name.get(name, "") for name, address in runs.items()}
    if math.isnan(verdict.median):
        return Judged(verdict, "", "", runs)
    # The same digits as in the ledger, because the rules compare these.
    value = Interval.of(verdict._asdict()).text
    interval = f"{verdict.coverage:.0%} interval"
    if verdict.n == 1 or math.isnan(verdict.low) or math.isnan(verdict.high):
        value = value.partition(" ")[0]
        interval = "one seed, no interval" if verdict.n == 1 else ""
    return Judged(verdict, f"{value} {verdict.unit}".strip(), interval, runs)
