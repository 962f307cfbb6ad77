"""Copies the results of a run. The copy is small enough to keep beside the code.

    python -m normlab.store --run=runs/quickstart --out=experiments/results/quickstart

The copy is a run directory that normlab.figures and normlab.page can read. It contains
the settings, the metrics of evaluations and the quantities, but no checkpoints and no
paths. If the cells of a sweep ran in several places without a shared disk, give --run=
several times. The first must be the run of the whole flagfile.
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
        "The run directory; it may be unfinished. Give more of them to add cells that "
        "ran elsewhere.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out", None, "A new folder for the copy.", flag_values=values
    )
    absl_flags.DEFINE_list(
        "quantities", None, "Quantities to copy (default: all).", flag_values=values
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Does what the flags say.

    Raises:
      UserError: a flag is missing, or a folder cannot be used.
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
