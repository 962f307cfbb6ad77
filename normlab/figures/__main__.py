"""Draws all or some figures of a stored run, or of several runs together.

python -m normlab.figures --run=runs/quickstart
python -m normlab.figures --run=runs/quickstart --figures=curves,gradient_norm
python -m normlab.figures --run=runs/a --run=runs/b --name=Adam --name=SGD --out=paper
python -m normlab.figures --run=runs/quickstart --style=paper.toml

A style file sets the width, font, colours and more (docs/figures.md).
If a figure cannot be drawn, the command draws the others and ends with exit status 1.
"""

from pathlib import Path

from absl import flags as absl_flags

from normlab import flags
from normlab.errors import UserError
from normlab.figures import check, check_drawn, draw_all, style_of, together
from normlab.store import RunPaths
from normlab.store.links import check_links
from normlab.words import path_of


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_multi_string(
        "run",
        None,
        "A run directory; it may be unfinished. Repeat the flag to show several runs "
        "in each figure.",
        flag_values=values,
    )
    absl_flags.DEFINE_multi_string(
        "name",
        None,
        "The name of a run in figures of several, once for each --run; by default the "
        "name of its folder.",
        flag_values=values,
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
        "Folder for the .png, .pdf and .csv files; by default RUN/figures, or figures "
        "here for several runs.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "style",
        None,
        "A TOML file that says how figures look (docs/figures.md): width, font, "
        "font_size, latex, palette, title, formats, [matplotlib].",
        flag_values=values,
    )
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Draws the figures.

    Raises:
      UserError: a run or a figure does not exist, or a run has no data for it; the
        names or the style are wrong; or a figure could not be drawn (raised after
        drawing the others).
    """
    if not values.run:
        raise UserError(
            "nothing to draw: pass --run=RUN, a directory made by python -m "
            "normlab.sweep"
        )
    if values.figures is not None:
        check(values.figures)
    style = style_of(values.style)
    sources = together(values.run, values.name)
    every = [RunPaths.at(run) for run in values.run]
    for paths in every:
        check_links(paths)
    usual = every[0].figures if len(every) == 1 else Path("figures")
    folder = path_of(values.out) if values.out else usual
    written, failed = draw_all(sources, folder, values.figures, style)
    first, *others = (*style.formats, "csv")
    for path in written:
        if path.suffix == f".{first}":
            more = ", ".join(f".{kind}" for kind in others)
            print(f"figure: {path} (and {more})")
    check_drawn(failed)


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.figures", doc=__doc__ or "")
