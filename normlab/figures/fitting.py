"""Fits a figure into the width of a user's style, and prepares its text for LaTeX."""

import itertools
import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from normlab.figures.paper import current

# Inches: the smallest width and height of a panel, and what is beside all panels.
_NARROWEST, _LOWEST, _BESIDE = 0.75, 0.8, 0.7
_PASSES = 4
_POINTS = 72
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


def columns_for(most: int) -> int:
    """How many columns of panels a figure may have: ``most``, or fewer if narrow."""
    width = current().width
    if width is None:
        return most
    return max(1, min(most, int((width - _BESIDE) / _NARROWEST)))


def size_for(rows: int, columns: int, width: float, height: float) -> tuple[float, ...]:
    """The width and height in inches of a figure of panels of a usual size.

    A figure as wide as the style says has lower panels, so that their shape is kept.
    """
    wanted = current().width
    if wanted is None:
        return max(1.0 + width * columns, 4.8), 1.1 + height * rows
    panel = max(_NARROWEST, (wanted - _BESIDE) / columns)
    return wanted, 1.1 + max(_LOWEST, height * min(1.0, panel / width)) * rows


def finish(figure: Figure) -> None:
    """Prepares a drawn figure for saving; does nothing in the usual style."""
    if current().latex:
        _for_latex(figure)
    if current().width is not None:
        _fit(figure)


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

    The layout decides how large the panels are, so it is computed several times.
    """
    for _ in range(_PASSES):
        figure.draw_without_rendering()
        panels = [ax for ax in figure.axes if ax.get_visible() and _in_grid(ax)]
        changed = [_wrap(ax, figure.dpi) for ax in panels]
        changed += [_turn(ax) for ax in panels]
        changed.append(_heighten(figure, panels))
        if not any(changed):
            return


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


def _wrap(ax: Axes, dpi: float) -> bool:
    """Wraps the title and the labels of a panel; whether one of them was too long."""
    box = ax.get_window_extent()
    changed = False
    for text, room, side in (
        (ax.title, box.width, 0),
        (ax.xaxis.label, box.width, 0),
        (ax.yaxis.label, box.height, 1),
    ):
        found = text.get_window_extent()
        long = (found.width, found.height)[side]
        if not text.get_text() or long <= room:
            continue
        lines = text.get_text().split("\n")
        most = max(4, int(max(map(len, lines)) * room / long))
        wrapped = itertools.chain.from_iterable(
            textwrap.wrap(line, most, break_long_words=False, break_on_hyphens=False)
            for line in lines
        )
        new = "\n".join(wrapped)
        if new != text.get_text():
            text.set_text(new)
            changed = True
    return changed


def _turn(ax: Axes) -> bool:
    """Turns the numbers along the horizontal axis if they overlap."""
    ticks = [x for x in ax.get_xticklabels() if x.get_visible() and x.get_text()]
    boxes = sorted((tick.get_window_extent() for tick in ticks), key=lambda x: x.x0)
    touching = any(a.x1 > b.x0 for a, b in itertools.pairwise(boxes))
    if not touching or all(tick.get_rotation() == 90 for tick in ticks):
        return False
    ax.tick_params(axis="x", labelrotation=90)
    return True
