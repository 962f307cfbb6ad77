"""The style of all figures, and how they are saved."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from normlab.figures.failure import only
from normlab.figures.fitting import finish
from normlab.figures.paper import current, naming
from normlab.store.layout import replacing, write_text

# The user's own settings may require a font or TeX that is not installed.
_RC: dict[Any, Any] = {
    **{k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"},
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    # Text stays text, in embedded TrueType fonts; journals refuse Type 3 fonts.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The project's matplotlib settings, which do not affect the rest of the process.

    They are based on matplotlib's defaults, not on the user's settings, and on the
    style of `normlab.figures.paper.drawing_with`.
    """
    settings: dict[Any, Any] = _RC | current().settings
    with matplotlib.rc_context(settings):
        yield


# Of the outlines of bands: opacity and width.
_OUTLINE, _THIN = 0.5, 0.5


def band(
    ax: Axes, x, table: pd.DataFrame, *, look: dict, label: str, alpha: float = 0.18
) -> None:
    """Draws a median line over its interval; ``table`` has median, low and high."""
    color = look["color"]
    ax.fill_between(
        x,
        table["low"],
        table["high"],
        facecolor=to_rgba(color, alpha),
        edgecolor=to_rgba(color, _OUTLINE),  # where areas overlap, their colours mix
        linewidth=_THIN,
    )
    ax.plot(x, table["median"], label=label, markersize=3.5, **look)


def draw_into(
    folder: Path,
    name: str,
    draw: Callable[[pd.DataFrame], Figure],
    table: pd.DataFrame,
) -> list[Path]:
    """Draws a figure, saves it, and returns the paths of the files.

    Raises:
      CannotDraw: the figure cannot be drawn; nothing is written.
      Unwritable: as for `save`.
    """
    return save(drawn(name, draw, table), table, folder, name)


def drawn(
    name: str, draw: Callable[[pd.DataFrame], Figure], table: pd.DataFrame
) -> Figure:
    """Draws a figure in the current style (`normlab.figures.paper`).

    Raises:
      CannotDraw: the figure cannot be drawn.
    """
    with only(name), naming(name):
        figure = draw(table)
        with style():
            finish(figure)
    return figure


def save(figure: Figure, table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Writes ``name`` as .png and .pdf, and its table as .csv, each file atomically.

    The style may ask for other formats.

    Raises:
      CannotDraw: matplotlib cannot lay out the figure, which it does on saving.
      Unwritable: the disk is full, or the folder cannot be written.
    """
    # Write to memory first, because matplotlib does not handle a full disk well.
    pictures = {kind: io.BytesIO() for kind in current().formats}
    # Text in an SVG stays text, which can be edited.
    with only(name), style(), matplotlib.rc_context({"svg.fonttype": "none"}):
        for kind, picture in pictures.items():
            figure.savefig(picture, format=kind)
    paths = [folder / f"{name}.{kind}" for kind in (*pictures, "csv")]
    for path, picture in zip(paths, pictures.values(), strict=False):
        with replacing(path) as temporary:
            temporary.write_bytes(picture.getvalue())
    write_text(paths[-1], table.to_csv(index=False))
    return paths
