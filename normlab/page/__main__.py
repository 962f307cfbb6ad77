"""Makes an HTML page from one or more runs.

    python -m normlab.page --run=runs/quickstart
    python -m normlab.page --run=runs/a --run=runs/b --out=page

The page answers what norms do, as far as the runs can tell: it has the verdicts on the
sources' claims. For every run, it has the results, the figures with their data, curves
to explore, the flags and the revision. Runs may be unfinished. It needs no network.
Images and tables lie beside it in index_files/, or inside it with --self_contained.
"""

from absl import flags as absl_flags

from normlab import flags
from normlab.errors import UserError
from normlab.page import write
from normlab.words import path_of


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_multi_string(
        "run",
        None,
        "A run directory. Repeat the flag to show several runs, in this order.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out", "page", "The folder to write index.html to.", flag_values=values
    )
    absl_flags.DEFINE_bool(
        "self_contained",
        False,
        "Put images and tables into index.html, so that it is a single file.",
        flag_values=values,
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Writes the page.

    Raises:
      UserError: no run is given, or a run does not exist, is empty, or is damaged.
    """
    if not values.run:
        raise UserError(
            "nothing to show: pass --run=RUN, a directory made by python -m "
            "normlab.sweep"
        )
    path = write(values.run, path_of(values.out), self_contained=values.self_contained)
    print(f"page: {path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.page", doc=__doc__ or "")
