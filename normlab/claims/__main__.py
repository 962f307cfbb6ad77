"""Computes the ledger of claims from runs.

python -m normlab.claims --run=runs/report_bn --run=runs/report_gn --out=ledger.csv
"""

from absl import flags as absl_flags

from normlab import flags
from normlab.claims import ledger, to_table
from normlab.claims.text import none_reached, reaches, reading, sums, table
from normlab.store.layout import check_writable, write_text
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


def main(values: absl_flags.FlagValues) -> None:
    """Prints the ledger, and writes it if ``--out`` is given.

    Raises:
      UserError: a run does not exist, or cannot be read; or the file cannot be written.
    """
    path = path_of(values.out) if values.out else None
    if path:
        check_writable(path)  # before a minute of judging
    verdicts = ledger(values.run)
    if values.run and not reaches(verdicts):
        print(none_reached(verdicts, len(values.run)))
    else:
        print("\n".join([reading(), "", *table(verdicts), *sums(verdicts)]))
    if path:
        write_text(path, to_table(verdicts).to_csv(index=False))
        print(f"ledger: {path}")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.claims", doc=__doc__ or "")
