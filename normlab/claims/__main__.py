"""Computes the ledger of claims from runs.

python -m normlab.claims --run=runs/report_bn --run=runs/report_gn --out=ledger.csv
"""

import math
from collections import Counter

import pandas as pd
from absl import flags as absl_flags

from normlab import flags
from normlab.claims import Verdict, ledger, to_table
from normlab.claims.rules import UNDECIDED, VERDICTS
from normlab.words import path_of

_READING = """
How to read this. A claim is followed by its parts. Values are means over n seeds with
95% intervals (Student's t on differences paired by seed; geometric means for ratios).
A claim has one test. p is twice the one-sided p-value of its verdict. "after Holm" is
the verdict after Holm's correction within its family. "no difference" follows from two
one-sided tests. "not rejected" (R1 to R7) is no finding that could be corrected: the
report's number lies in the prediction interval of one more of our seeds, and p is that
of the opposite. "chosen to match": a setting was chosen on the same experiments, so the
verdict is no test. "?" marks seeds that chose the rules (0 to 4): such a verdict
explores. "!" marks a verdict that a sign-flip test (six seeds or more) or a BCa
bootstrap (five) does not share, unless so few seeds could not tell. "~" marks a verdict
on the test set that may not hold for other test images: an upper bound of their
sampling error would change it. An identity has no statistic: its value is the worst
network. "would be decided by" is for a power of 80% of the claim's test at a level of
5%, before Holm's correction, if the observed means and spreads are true.
"""


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_multi_string(
        "run",
        [],
        "A run directory, complete or thinned. Repeat the flag for several runs.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out", None, "Write the full table to this CSV file.", flag_values=values
    )
    return values


def line(verdict: Verdict) -> str:
    """One printed row: ``C1  supported?  2.1 [1.9, 2.3] points  n=5  p=0.002 ...``."""
    marks = "?" * verdict.exploratory + "!" * ("differs" in verdict.check)
    marks += "~" * ("differs" in verdict.images)
    p = "" if math.isnan(verdict.own_p) else f"p={_p(verdict.own_p)}"
    holm = ""
    if verdict.adjusted:
        holm = f"after Holm: {verdict.adjusted} ({_p(verdict.p_adjusted)})"
    value = verdict.value or "-"
    told, _, run = verdict.words.partition(": ")
    words = (verdict.id, told + marks, value, f"n={verdict.n}", p, holm)
    widths = (8, 57, 44, 6, 10, 35)
    start = "".join(f"{w} ".ljust(n) for w, n in zip(words, widths, strict=True))
    text = verdict.statistic if verdict.is_part else verdict.sentence
    return f"{start}{text}{f' [run: {run}]' if run else ''}"


def _p(p: float) -> str:
    return "<1e-4" if p < 1e-4 else f"{p:.2g}"


def summary(verdicts: list[Verdict]) -> list[str]:
    """How many claims have each verdict, and what would decide the undecided ones."""
    claims = [verdict for verdict in verdicts if not verdict.is_part]
    lines = [""]
    for family in dict.fromkeys(claim.family for claim in claims):
        own = [claim for claim in claims if claim.family == family]
        number = Counter(claim.verdict for claim in own)
        counts = ", ".join(f"{number[w]} {w}" for w in VERDICTS if number[w])
        kept = sum(claim.adjusted not in ("", UNDECIDED) for claim in own)
        lines.append(f"{family}: {len(own)} claims: {counts}; {kept} after Holm")
    lines.append("")
    for claim in (c for c in claims if c.cost):
        lines.append(f"{claim.id} would be decided, before Holm, by {claim.cost}")
    lines.append("")
    for claim in (c for c in claims if c.scripts):
        lines.append(f"{claim.id} on a GPU: {claim.scripts}")
    return lines


def main(values: absl_flags.FlagValues) -> None:
    """Prints the ledger, and writes it if ``--out`` is given.

    Raises:
      UserError: a run does not exist, or cannot be read.
    """
    verdicts = ledger(values.run)
    for verdict in verdicts:
        print(line(verdict))
    print("\n".join(summary(verdicts)))
    print(_READING)
    missing = dict.fromkeys(name for v in verdicts for name in v.missing)
    if missing:
        print(f"missing: {', '.join(missing)}")
    if values.out:
        table: pd.DataFrame = to_table(verdicts)
        path = path_of(values.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)
        print(f"ledger: {path}")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.claims", doc=__doc__ or "")
