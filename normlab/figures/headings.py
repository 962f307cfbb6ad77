"""The headline and the caption above a figure's panels."""

import itertools
import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from normlab.figures.fitting import CHARACTERS, text_scale
from normlab.figures.paper import current
from normlab.figures.tables import RUN
from normlab.statistics.intervals import seeds_words

# Bold letters are wider. The gap above a caption, in inches, is that of matplotlib.
_BOLD, _GAP = 0.88, 0.042


def caption(
    figure: Figure, table: pd.DataFrame, what: str = "", note: str = "", says: str = ""
) -> None:
    """Writes the heading above all panels: the data, its meaning, and the seeds.

    ``says`` is the headline.
    """
    ours = table[table["source"] == RUN]
    seeds = seeds_words(ours["n"])
    title(figure, [table["where"].iloc[0], what, seeds, note], says)


def title(figure: Figure, parts: Sequence[str], says: str = "") -> None:
    """Writes a headline in bold and ``parts`` above all panels, wrapped to its width.

    A style may ask for no title.

    Args:
      figure: the figure.
      parts: the caption.
      says: the headline: one sentence on what the figure shows.
    """
    if not current().title:
        return
    most = int(CHARACTERS * figure.get_size_inches()[0] / text_scale())
    headline = textwrap.wrap(says, max(1, int(_BOLD * most)))
    text = [""]
    for part in itertools.chain(*(textwrap.wrap(part, most) for part in parts)):
        longer = f"{text[-1]}; {part}" if text[-1] else part
        if len(longer) <= most or not text[-1]:
            text[-1] = longer
        else:
            text.append(part)
    # The layout makes room for the caption alone, which leaves lines for the headline.
    figure.suptitle("\n".join([*("" for _ in headline), *text]))
    if headline:
        below = ScaledTranslation(0, -_GAP, figure.dpi_scale_trans)
        figure.text(
            0.5,
            1.0,
            "\n".join(headline),
            transform=figure.transFigure + below,
            ha="center",
            va="top",
            fontweight="bold",
            fontsize="medium",
            gid=HEADLINE,
        )


HEADLINE = "headline"  # the name of its text in a figure


def headline_of(figure: Figure) -> str:
    """The headline of a drawn figure on one line, or ""."""
    texts = [text for text in figure.texts if text.get_gid() == HEADLINE]
    return " ".join(texts[0].get_text().split()) if texts else ""
