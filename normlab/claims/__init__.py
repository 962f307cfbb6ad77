"""The ledger of claims: what the sources claim, and whether the runs support it.

A claim is data (`normlab.claims.claim.Claim`): a sentence, its source, and one or more
parts. Each part is a statistic over seeds and a rule that turns its interval into
*supported*, *contradicted* or *undecided*. `ledger` computes all verdicts from run
directories. To add a claim, add an entry to the ``CLAIMS`` of its family's file. To add
a family, add a file and list it in `_FAMILIES`.

The prefix of an id shows where a claim comes from:

* C: a claim of the report; F: its future work. A trailing p means that the experiment
  was run as it should have been.
* H: the report's six numbered statements on how batch norm helps.
* E11: the report's easy dataset, MNIST; E11d: the same on digits.
* R: reproduces the report's numbers; B: effects of mistakes in the report's program.
* SF, S: Santurkar et al. 2018, by figure and by theorem; W: Wu & He 2018.

Intervals are not corrected for multiple comparisons.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from normlab.claims import (
    bugs,
    report_bn,
    report_easy,
    report_gn,
    report_theory,
    reproduction,
    santurkar,
    wu_he,
)
from normlab.claims.claim import Claim, Verdict
from normlab.claims.evidence import Evidence
from normlab.claims.judge import judge

__all__ = ["CLAIMS", "Claim", "Verdict", "ledger", "to_table"]

_FAMILIES = (
    report_bn,
    report_gn,
    report_theory,
    report_easy,
    reproduction,
    bugs,
    santurkar,
    wu_he,
)


def _by_id(claims: Sequence[Claim]) -> dict[str, Claim]:
    by_id: dict[str, Claim] = {}
    for claim in claims:
        if claim.id in by_id:
            raise ValueError(f"two claims are called {claim.id}")
        by_id[claim.id] = claim
    return by_id


CLAIMS: dict[str, Claim] = _by_id([c for family in _FAMILIES for c in family.CLAIMS])


def ledger(runs: Sequence[str | Path]) -> list[Verdict]:
    """Judges every claim by the given runs.

    A claim with several parts has its own row first, followed by one row for each part,
    with ids ``<id>.1``, ``<id>.2``, ... See `normlab.claims.judge.judge` for how the
    parts combine.

    Args:
      runs: run directories, complete or thinned. They may be unfinished. Rows are
        selected by their settings; the names of the runs do not matter.

    Raises:
      UserError: a path is not a run directory, is still empty, or is damaged.
    """
    evidence = Evidence.read(runs)
    return [row for claim in CLAIMS.values() for row in judge(claim, evidence)]


def to_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A table with one row per verdict. Lists become text separated by semicolons."""
    table = pd.DataFrame(list(verdicts), columns=list(Verdict._fields))
    lists = ("needs", "missing", "runs")
    return table.assign(**{name: table[name].map("; ".join) for name in lists})
