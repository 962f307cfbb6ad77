"""The figures of a run as pictures inside the page, each with its table to download."""

import inspect
import io
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from normlab.figures import (
    FIGURES,
    Sources,
    landscape_contour,
    landscape_line,
    landscape_surface,
    tabulated,
)
from normlab.figures.style import style
from normlab.report import embed
from normlab.report.alt import alt_text
from normlab.store import RunPaths
from normlab.sweep.placement import cores

# Beyond this many bytes a drawing's picture is the smaller one.
_MOST_SVG = 250_000
_DPI = 96  # a page's inch
# A figure takes a second, and so do a few that a process could draw before it is up.
_WORTH, _MOST_PROCESSES = 8, 4
# What python -m normlab.landscape leaves in the run's figures/.
_LANDSCAPES = {
    "contour": landscape_contour,
    "surface": landscape_surface,
    "line": landscape_line,
}


class Drawn(NamedTuple):
    """A figure of the page.

    Attributes:
      name: as in `FIGURES`, or the name of a landscape's file.
      caption: what it is, in a sentence.
      alt: what it shows, for who cannot see it.
      image: a ``data:`` address.
      width, height: in the page's pixels.
      csv: what is plotted.
    """

    name: str
    caption: str
    alt: str
    image: str
    width: int
    height: int
    csv: embed.Download


class Plot(NamedTuple):
    """A figure to be drawn: its name, what draws it, and the table that it draws."""

    name: str
    draw: Callable[[pd.DataFrame], Figure]
    table: pd.DataFrame


def plots(sources: Sources) -> list[Plot]:
    """Every figure that the run has something for."""
    found = [
        Plot(name, FIGURES[name].draw, table) for name, table in tabulated(sources)
    ]
    return [*found, *_landscapes(sources)]


def _landscapes(sources: Sources) -> Iterator[Plot]:
    """Those that were drawn, from the tables beside them."""
    folder = RunPaths.at(sources.run).figures
    for path in sorted(folder.glob("*.csv")):
        drawing = _LANDSCAPES.get(path.stem.rpartition("_")[2])
        if drawing is not None:
            yield Plot(path.stem, drawing.draw, pd.read_csv(path))


def draw_all(found: Sequence[Plot]) -> list[Drawn]:
    """Draws them, in the order given; many of them in several processes."""
    workers = min(cores(), _MOST_PROCESSES, len(found) // _WORTH)
    if workers < 2:
        return [_drawn(plot) for plot in found]
    # Not forked: JAX has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as processes:
        return list(processes.map(_drawn, found))


def _drawn(plot: Plot) -> Drawn:
    name, draw, table = plot
    figure = draw(table)
    words = inspect.getdoc(inspect.getmodule(draw)) or name
    # A module says in its first sentences what its figure is.
    caption = " ".join(words.split("\n\n")[0].split())
    width, height = (round(_DPI * size) for size in figure.get_size_inches())
    return Drawn(
        name,
        caption,
        alt_text(caption, table),
        _image(figure),
        width,
        height,
        embed.csv(name, table),
    )


def _image(figure: Figure) -> str:
    """The figure as SVG, or as PNG where that is too large."""
    svg = io.BytesIO()
    # Neither the time nor a random salt: the same numbers give the same page.
    with style(), matplotlib.rc_context({"svg.hashsalt": "normlab"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
        if svg.tell() <= _MOST_SVG:
            return embed.address(svg.getvalue(), "image/svg+xml")
        raw, png = io.BytesIO(), io.BytesIO()
        figure.savefig(raw, format="png")
    # A plot has few colours: a palette of them is a third of the size.
    with Image.open(raw) as picture:
        picture.convert("RGB").quantize(256).save(png, format="png", optimize=True)
    return embed.address(png.getvalue(), "image/png")
