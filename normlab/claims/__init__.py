"""The ledger of claims: what the sources claim, and whether the runs support it.

A claim is data (`normlab.claims.claim.Claim`): a sentence, its source and the setting
there, and one or more parts. Each part is a statistic for every seed, and a rule.
Together they have one test. `ledger` computes all verdicts from run directories. To add
a claim, add an entry to the ``CLAIMS`` of its file, and then to `frozen.json`
(`normlab.claims.frozen`).

Verdicts are computed twice: each at its own level of 5%, and corrected by Holm's method
within its family, `FAMILIES`. A family has all its claims that are tested, also those
whose runs do not exist.

The prefix of an id shows where a claim comes from:

* C: a claim of the report; F: its future work. A trailing p means that the experiment
  was run as it should have been.
* H: the report's six numbered statements on how batch norm helps.
* E11: the report's easy dataset, MNIST; E11d: the same on digits.
* R: reproduces the report's numbers; B: effects of mistakes in the report's program.
* SF, S: Santurkar et al. 2018, by figure and by theorem; W: Wu & He 2018.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
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
from normlab.claims.claim import Claim
from normlab.claims.evidence import Evidence
from normlab.claims.frozen import version
from normlab.claims.judge import judge
from normlab.claims.rules import ALPHA, NO_DIFFERENCE, NOT_REJECTED, UNDECIDED
from normlab.claims.verdict import Verdict
from normlab.statistics.multiplicity import holm

__all__ = ["CLAIMS", "FAMILIES", "Claim", "Verdict", "ledger", "to_table"]

FAMILIES: dict[str, tuple[Claim, ...]] = {
    "the report": (
        *report_bn.CLAIMS,
        *report_gn.CLAIMS,
        *report_theory.CLAIMS,
        *report_easy.CLAIMS,
        *reproduction.CLAIMS,
        *bugs.CLAIMS,
    ),
    "Santurkar et al.": santurkar.FIGURES,
    "Wu & He": wu_he.CLAIMS,
    "this project": report_easy.DIGITS,
    "theory": (*report_theory.THEORY, *santurkar.THEOREMS),
}


def _by_id(claims: Sequence[Claim]) -> dict[str, Claim]:
    by_id: dict[str, Claim] = {}
    for claim in claims:
        if claim.id in by_id:
            raise ValueError(f"two claims are called {claim.id}")
        by_id[claim.id] = claim
    return by_id


CLAIMS: dict[str, Claim] = _by_id([c for own in FAMILIES.values() for c in own])


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
    rows = []
    for family, claims in FAMILIES.items():
        judged = [judge(claim, evidence) for claim in claims]
        for claim, own in zip(claims, corrected(claims, judged), strict=True):
            rows += [row._replace(family=family, version=version(claim)) for row in own]
    return rows


def corrected(
    claims: Sequence[Claim], judged: list[list[Verdict]]
) -> list[list[Verdict]]:
    """Adds the verdicts after Holm's correction to the rows of the claims.

    A claim has two hypotheses in its family: that its effect has the other sign, and
    that it is at least the margin. Without runs, their p-values are 1. That a number
    can be one more of ours is no rejection, so nothing remains of it to correct.

    Seeds that chose a rule may give p-values that are too small, and each that Holm's
    method rejects makes it easier for the next. So a verdict on new seeds is corrected
    as if exploratory claims had no runs.
    """
    tested = [k for k, claim in enumerate(claims) if not claim.exact]
    each = [judged[k][0] for k in tested]
    p = np.ravel([(row.p, row.p_no_difference) for row in each])
    p = np.nan_to_num(p, nan=1.0)
    explores = np.repeat([row.exploratory for row in each], 2).astype(bool)
    of_new = holm(np.where(explores, 1.0, p))
    adjusted = np.where(explores, holm(p), of_new).reshape(-1, 2)
    for k, both in zip(tested, adjusted, strict=True):
        row, *parts = judged[k]
        if math.isnan(row.p) or row.verdict == NOT_REJECTED:
            continue
        own = float(both[int(row.verdict == NO_DIFFERENCE)])
        kept = row.verdict if own <= ALPHA else UNDECIDED
        row = row._replace(adjusted=kept, p_adjusted=own)
        judged[k] = [row, *parts]
    return judged


def to_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A table with one row per verdict. Lists become text separated by semicolons."""
    table = pd.DataFrame(list(verdicts), columns=list(Verdict._fields))
    lists = ("needs", "missing", "runs")
    return table.assign(**{name: table[name].map("; ".join) for name in lists})
