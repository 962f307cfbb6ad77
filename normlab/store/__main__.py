"""Copies the results of a run, small enough to be kept beside the code.

    python -m normlab.store --run=runs/quickstart --out=experiments/results/quickstart

The copy is a run directory for python -m normlab.figures and normlab.page: metrics
where they were evaluated, quantities, settings; without checkpoints and paths. Of a
sweep whose cells were run in several places, without a disk that they share, give
several --run=, first that of the whole flagfile.
"""

from absl import flags as absl_flags

from normlab import flags
from normlab.errors import UserError
from normlab.store.thin import thin
from normlab.words import counted


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_multi_string(
        "run",
        None,
        "The run directory; it may be unfinished. Given again: one with some of its "
        "cells.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out", None, "A folder that is not there yet.", flag_values=values
    )
    absl_flags.DEFINE_list(
        "quantities", None, "Quantities to copy; all by default.", flag_values=values
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Does what the flags say.

    Raises:
      UserError: a folder is not what it should be.
    """
    if not (values.run and values.out):
        raise UserError("give --run=RUN and --out=FOLDER")
    run, *more = values.run
    copy = thin(run, values.out, values.quantities, more)
    files = [path for path in copy.root.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"thin copy: {copy.root}, {counted(len(files), 'file')}, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.store", doc=__doc__ or "")
