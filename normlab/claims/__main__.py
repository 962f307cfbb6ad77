"""Computes the ledger of claims from runs.

python -m normlab.claims --run=runs/report_bn --run=runs/report_gn --out=ledger.csv
"""

import pandas as pd
from absl import flags as absl_flags

from normlab import flags
from normlab.claims import Verdict, ledger, to_table
from normlab.statistics.intervals import Interval
from normlab.words import path_of


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
    """One printed row: ``C1.1  supported  2.100 [1.900, 2.300] points  n=5  ...``."""
    interval = Interval.of(verdict._asdict())
    value = f"{interval.text} {verdict.unit}" if verdict.n else "-"
    words = (verdict.id, verdict.verdict, value, f"n={verdict.n}")
    widths = (8, 13, 44, 6)
    start = "".join(w.ljust(n) for w, n in zip(words, widths, strict=True))
    return start + (verdict.statistic if verdict.is_part else verdict.sentence)


def main(values: absl_flags.FlagValues) -> None:
    """Prints the ledger, and writes it if ``--out`` is given.

    Raises:
      UserError: a run does not exist, or cannot be read.
    """
    verdicts = ledger(values.run)
    for verdict in verdicts:
        print(line(verdict))
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
