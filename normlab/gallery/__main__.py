"""Draws the pictures of the documentation from the stored runs.

python -m normlab.gallery
python -m normlab.gallery --experiments=experiments --out=docs

It writes gallery.md, its pictures in gallery/, and headline.png, the picture of README.
"""

from absl import flags as absl_flags

from normlab import flags
from normlab.gallery import headline, make, picture
from normlab.store.layout import replacing
from normlab.words import path_of

_DPI = 150


def flag_values() -> absl_flags.FlagValues:
    """The flags of this command, unparsed."""
    values = absl_flags.FlagValues()
    for name, default, words in (
        ("experiments", "experiments", "The folder of flagfiles and stored runs."),
        ("out", "docs", "The folder of gallery.md and headline.png."),
    ):
        absl_flags.DEFINE_string(name, default, words, flag_values=values)
    return values


def main(values: absl_flags.FlagValues) -> None:
    """Draws the pictures.

    Raises:
      UserError: a stored run is missing or lacks data, or the folder cannot be written.
    """
    experiments, out = path_of(values.experiments), path_of(values.out)
    path = out / "headline.png"
    table = headline.tabulate(experiments)
    with replacing(path) as temporary:
        figure = headline.draw(table)
        temporary.write_bytes(picture(figure, _DPI))
    for written in [path, *make(experiments, out)]:
        print(f"written: {written}")


if __name__ == "__main__":
    flags.run(main, flag_values(), program="normlab.gallery", doc=__doc__ or "")
