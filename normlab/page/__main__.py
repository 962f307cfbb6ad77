"""Makes one self-contained HTML page of a run, or of several.

    python -m normlab.page --run=runs/quickstart
    python -m normlab.page --run=runs/a --run=runs/b --out=page

The page holds what the runs say about the sources' claims, and for every run its
numbers, figures with their tables, curves to explore, flags and revision. A run may be
unfinished.
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
        "A run directory; given several times, one section each, in this order.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out", "page", "The folder to write index.html to.", flag_values=values
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Does what the flags say.

    Raises:
      UserError: there is no such run, nothing is stored in it, or it is damaged.
    """
    if not values.run:
        raise UserError(
            "nothing to show: pass --run=RUN, a directory that python -m "
            "normlab.sweep made"
        )
    path = write(values.run, path_of(values.out))
    print(f"page: {path} ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.page", doc=__doc__ or "")
