"""Makes an HTML page from one or more runs.

    python -m normlab.page --run=runs/quickstart
    python -m normlab.page --run=runs/a --run=runs/b --out=page

The page answers what norms do, as far as the runs can tell: it has the verdicts on the
sources' claims. For every run, it has the results, the figures with their data, curves
to explore, the flags and the revision. Runs may be unfinished. It needs no network.
Images and tables lie beside it in index_files/, or inside it with --self_contained.
An earlier page in the folder is replaced; another index.html is not.
"""

import sys

from absl import flags as absl_flags

from normlab import flags
from normlab.errors import UserError
from normlab.page import FILE, write
from normlab.page.document import is_page
from normlab.words import path_of

PROGRAM = "normlab.page"


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
      UserError: no run is given, or a run does not exist, is empty, or is damaged, or
        the folder has an index.html that is not a page of normlab.
    """
    if not values.run:
        raise UserError(
            "nothing to show: pass --run=RUN, a directory made by python -m "
            "normlab.sweep"
        )
    folder = path_of(values.out)
    replaces = is_page(folder / FILE)
    inside = values.self_contained
    say = _say if len(values.run) > 1 else None
    path = write(values.run, folder, self_contained=inside, say=say)
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    print(f"page: {path} ({size}){', in place of an earlier page' * replaces}")


def _say(text: str) -> None:
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    flags.run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
