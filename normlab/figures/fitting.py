"""Fits a figure into the width of a user's style, and prepares its text for LaTeX."""

import itertools
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from normlab.figures.paper import current

# Inches: the smallest width and height of a panel, and what is beside all panels.
_NARROWEST, _LOWEST, _BESIDE, _ABOVE = 0.75, 0.8, 0.7, 1.1
_PASSES = 6
# A figure that has no room for panels grows by these inches, this often.
_GROWTH, _MOST_GROWTHS = 0.5, 12
CHARACTERS = 15  # of a title, per inch, at the usual size
_SIZE = 9.0  # of text in the usual style, in points
_BREAK = "\N{WORD JOINER}"  # stands for a break inside a word
# The characters of our figures that LaTeX does not print as they are.
_LATEX = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"$|$",
    "<": "$<$",
    ">": "$>$",
    "²": "$^2$",
    "√": r"$\surd$",
    "∂": r"$\partial$",
    "θ": r"$\theta$",
    "η": r"$\eta$",
    "σ": r"$\sigma$",
}


def text_scale() -> float:
    """The size of text as a multiple of the usual one."""
    return matplotlib.rcParams["font.size"] / _SIZE


def columns_for(most: int, narrowest: float = _NARROWEST) -> int:
    """How many columns of panels a figure may have: ``most``, or fewer if narrow.

    Args:
      most: the largest number.
      narrowest: the smallest width of a panel, in inches.
    """
    width = current().width
    if width is None:
        return most
    return max(1, min(most, int((width - _BESIDE) / narrowest)))


def size_for(
    rows: int, columns: int, width: float, height: float
) -> tuple[float, float]:
    """The width and height in inches of a figure of panels of a usual size.

    A figure as wide as the style says has lower panels, so that their shape is kept.
    """
    wanted = current().width
    if wanted is None:
        return max(1.0 + width * columns, 4.8), _ABOVE + height * rows
    panel = max(_NARROWEST, (wanted - _BESIDE) / columns)
    return wanted, _ABOVE + max(_LOWEST, height * min(1.0, panel / width)) * rows


def scaled(width: float, height: float) -> tuple[float, float]:
    """The usual width and height in inches, or as wide as the style says."""
    wanted = current().width
    if wanted is None:
        return width, height
    return wanted, _ABOVE + max(_LOWEST, (height - _ABOVE) * min(1.0, wanted / width))


def finish(figure: Figure) -> None:
    """Prepares a drawn figure for saving.

    In the usual style it only wraps titles that are far too long, such as those with
    the names of runs.
    """
    if current().latex:
        _for_latex(figure)
    if current().width is not None or any(map(_is_long, figure.axes)):
        _fit(figure)


def _is_long(ax: Axes) -> bool:
    """Whether the title is wider than the panel, by the number of its characters."""
    if not _in_grid(ax):
        return False
    longest = max(map(len, ax.get_title().split("\n")))
    return longest > CHARACTERS * panel_size(ax)[0]


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _for_latex(figure: Figure) -> None:
    for text in figure.findobj(Text):
        if isinstance(text, Text) and "$" not in text.get_text():
            text.set_text(latex_text(text.get_text()))
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            shown = axis.get_major_formatter()
            if isinstance(shown, FixedFormatter):
                names: Any = shown.seq
                shown.seq = [latex_text(str(name)) for name in names]


def _fit(figure: Figure) -> None:
    """Wraps long titles and labels, and makes room for panels that became too low.

    The layout decides how large the panels are, so it is computed several times. Before
    the first time, titles and labels are wrapped to the size that panels should have,
    because there is no layout if they leave no room for panels.
    """
    panels = [ax for ax in figure.axes if ax.get_visible() and _in_grid(ax)]
    texts = {ax: [text.get_text() for text in _texts(ax)] for ax in panels}
    for ax in panels:
        _wrap(ax, texts[ax], *(figure.dpi * size for size in panel_size(ax)))
    for _ in range(_MOST_GROWTHS):
        if _laid_out(figure):
            break
        figure.set_figheight(figure.get_figheight() + _GROWTH)
    for _ in range(_PASSES):
        _laid_out(figure)
        boxes = {ax: ax.get_window_extent() for ax in panels}
        changed = [
            _wrap(ax, texts[ax], box.width, box.height) for ax, box in boxes.items()
        ]
        changed += [_turn(ax) for ax in panels]
        changed.append(_heighten(figure, panels))
        if not any(changed):
            return


def _laid_out(figure: Figure) -> bool:
    """Computes the layout; whether there is one, so that all text has room."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    return not any("constrained_layout" in str(one.message) for one in caught)


def _in_grid(ax: Axes) -> bool:
    return ax.get_subplotspec() is not None


def _heighten(figure: Figure, panels: list[Axes]) -> bool:
    low = [_LOWEST - ax.get_position().height * figure.get_figheight() for ax in panels]
    lacking = max(low, default=0.0)
    if lacking < 0.02:
        return False
    rows = max(ax.get_subplotspec().get_gridspec().nrows for ax in panels)  # type: ignore[union-attr]
    figure.set_figheight(figure.get_figheight() + lacking * rows)
    return True


def panel_size(ax: Axes) -> tuple[float, float]:
    """About the width and height in inches that a panel has without long labels."""
    place: Any = ax.get_subplotspec()
    rows, columns = place.get_gridspec().get_geometry()
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = figure.get_size_inches()
    return (width - _BESIDE) / columns, (height - _ABOVE) / rows


def _texts(ax: Axes) -> tuple[Text, Text, Text]:
    return ax.title, ax.xaxis.label, ax.yaxis.label


def _wrap(ax: Axes, texts: Sequence[str], width: float, height: float) -> bool:
    """Wraps the title and the labels of a panel; whether one of them was too long.

    Args:
      ax: the panel.
      texts: the title and the labels before they were wrapped.
      width, height: the room for them, in pixels.
    """
    changed = False
    rooms = (width, 0), (width, 0), (height, 1)
    for text, whole, (room, side) in zip(_texts(ax), texts, rooms, strict=True):
        found = text.get_window_extent()
        long = (found.width, found.height)[side]
        if not text.get_text() or long <= room:
            continue
        longest = max(map(len, text.get_text().split("\n")))
        most = max(4, int(longest * room / long))
        new = "\n".join(_wrapped(line, most) for line in whole.split("\n"))
        if new != text.get_text():
            text.set_text(new)
            changed = True
    return changed


def _wrapped(line: str, most: int) -> str:
    """``line`` in lines of at most ``most`` characters if its words are not longer."""
    if max(map(len, line.split()), default=0) > most:  # also break weight_|decay
        line = line.replace("_", f"_{_BREAK} ")
    lines = textwrap.wrap(line, most, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(f"{_BREAK} ", "").replace(_BREAK, "")


def _turn(ax: Axes) -> bool:
    """Turns the numbers along the horizontal axis if they overlap."""
    ticks = [x for x in ax.get_xticklabels() if x.get_visible() and x.get_text()]
    boxes = sorted((tick.get_window_extent() for tick in ticks), key=lambda x: x.x0)
    touching = any(a.x1 > b.x0 for a, b in itertools.pairwise(boxes))
    if not touching or all(tick.get_rotation() == 90 for tick in ticks):
        return False
    ax.tick_params(axis="x", labelrotation=90)
    return True
