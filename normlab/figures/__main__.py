"""Draws all or some figures of a stored run.

python -m normlab.figures --run=runs/quickstart
python -m normlab.figures --run=runs/quickstart --figures=curves,gradient_norm

If a figure cannot be drawn, the command draws the others and ends with exit status 1.
"""

from absl import flags as absl_flags

from normlab import flags
from normlab.errors import UserError
from normlab.figures import Sources, check, check_drawn, draw_all
from normlab.store import RunPaths
from normlab.store.links import check_links
from normlab.words import path_of


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_string(
        "run", None, "The run directory; it may be unfinished.", flag_values=values
    )
    absl_flags.DEFINE_list(
        "figures",
        None,
        "Names of figures (normlab.figures.FIGURES); by default all figures that the "
        "run has data for.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out",
        None,
        "Folder for the .png, .pdf and .csv files; RUN/figures by default.",
        flag_values=values,
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Draws the figures.

    Raises:
      UserError: the run or a figure does not exist, or the run has no data for it; or a
        figure could not be drawn (raised after drawing the others).
    """
    if not values.run:
        raise UserError(
            "nothing to draw: pass --run=RUN, a directory made by python -m "
            "normlab.sweep"
        )
    if values.figures is not None:
        check(values.figures)
    paths = RunPaths.at(values.run)
    check_links(paths)
    folder = path_of(values.out) if values.out else paths.figures
    written, failed = draw_all(Sources(values.run), folder, values.figures)
    for path in written:
        if path.suffix == ".png":
            print(f"figure: {path} (and .pdf, .csv)")
    check_drawn(failed)


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.figures", doc=__doc__ or "")
