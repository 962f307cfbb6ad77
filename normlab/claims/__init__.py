"""The ledger of claims: what the sources say, and what the runs say of it.

A claim is data (`normlab.claims.claim.Claim`): a sentence, its source, and parts, each
a statistic over seeds and a rule that turns its interval into *supported*,
*contradicted* or *undecided*. `ledger` computes the verdicts from run directories;
nothing of them is typed. To add a claim: an entry in the ``CLAIMS`` of its family's
file; to add a family, a file and its name in `_FAMILIES`.

Ids: C and F are what the report claims and leaves for the future (with a p behind it,
run as it should have been), H its six numbered statements on how batch norm helps, E11
its easy dataset, R its own numbers again, B what the mistakes in its program did; SF
and S are Santurkar et al. 2018 by figure and by theorem, W is Wu & He 2018. Each
interval stands for itself: nothing corrects for there being many.
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
    """The verdict on every claim, by what the runs measured.

    A claim of several parts has its own row first, and then one for each part, called
    ``<id>.1``, ``<id>.2``, ...: `normlab.claims.judge.judge` says how they combine.

    Args:
      runs: run directories, whole or thinned; they may be unfinished. Rows are found by
        their settings, whatever the runs are called.

    Raises:
      UserError: one is no run directory, nothing is stored in it yet, or it is damaged.
    """
    evidence = Evidence.read(runs)
    return [row for claim in CLAIMS.values() for row in judge(claim, evidence)]


def to_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts as a table, a row each; lists as words with semicolons."""
    table = pd.DataFrame(list(verdicts), columns=list(Verdict._fields))
    lists = ("needs", "missing", "runs")
    return table.assign(**{name: table[name].map("; ".join) for name in lists})
