"""Exports a run for TensorBoard: scalars, and histograms of activations.

    python -m normlab.tensorboard --run=runs/quickstart
    tensorboard --logdir=runs/quickstart/tensorboard

Both commands need pip install 'normlab[tensorboard]'. Each member becomes a TensorBoard
run. A new export replaces an earlier one.
"""

from absl import flags as absl_flags

from normlab import flags
from normlab.errors import UserError
from normlab.tensorboard import export_run


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_string(
        "run", None, "The run directory; it may be unfinished.", flag_values=values
    )
    absl_flags.DEFINE_string(
        "out",
        None,
        "Folder for the event files; RUN/tensorboard by default.",
        flag_values=values,
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Exports the run.

    Raises:
      UserError: the run does not exist, the output folder contains other files, or
        tensorboardX is not installed.
    """
    if not values.run:
        raise UserError(
            "nothing to export: pass --run=RUN, a directory made by python -m "
            "normlab.sweep"
        )
    print(f"tensorboard: {export_run(values.run, values.out)}")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.tensorboard", doc=__doc__ or "")
