"""The figures of a run as pictures inside the page, each with its table to download."""

import contextlib
import functools
import inspect
import io
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from normlab.errors import UserError
from normlab.figures import (
    FIGURES,
    CannotDraw,
    Sources,
    candidates,
    landscape_contour,
    landscape_line,
    landscape_surface,
    only,
    plotted,
)
from normlab.figures.style import style
from normlab.members.placement import cores
from normlab.page import embed
from normlab.page.alt import alt_text
from normlab.store import RunPaths

# Beyond this many bytes a drawing's picture is the smaller one.
_MOST_SVG = 250_000
_DPI = 96  # a page's inch
# What there may be a figure of; about half of as many, drawn, take as long as a process
# needs before it can draw one.
_WORTH, _MOST_PROCESSES = 12, 4
# What python -m normlab.landscape leaves in the run's figures/.
_LANDSCAPES = {
    "contour": landscape_contour,
    "surface": landscape_surface,
    "line": landscape_line,
}


class Drawn(NamedTuple):
    """A figure of the page, or what there is of one that cannot be drawn.

    Attributes:
      name: as in `FIGURES`, or the name of a landscape's file.
      caption: what it is, in a sentence.
      alt: what it shows, for who cannot see it.
      image: a ``data:`` address.
      width, height: in the page's pixels.
      csv: what is plotted; None where that cannot be told.
      fault: why there is no image, else "".
    """

    name: str
    caption: str
    alt: str = ""
    image: str = ""
    width: int = 0
    height: int = 0
    csv: embed.Download | None = None
    fault: str = ""


@contextlib.contextmanager
def drawing(all_sources: Sequence[Sources]) -> Iterator[Iterator[list[Drawn]]]:
    """Draws the figures of runs; many of them in processes, while the caller goes on.

    Yields:
      For every run, in order, its figures, once they are asked for.

    Raises:
      UserError: one is no run directory; or, once they are asked for, a file of it is
        damaged or missing.
    """
    asked = [(sources, _names(sources)) for sources in all_sources]
    many = sum(len(names) for _, names in asked)
    workers = min(cores(), _MOST_PROCESSES, many // _WORTH)
    if workers < 2:
        yield (
            [one for name in names for one in _drawn(sources, name)]
            for sources, names in asked
        )
        return
    # Not forked: JAX has threads.
    context = multiprocessing.get_context("spawn")
    processes = ProcessPoolExecutor(workers, context)
    try:
        futures = [
            [processes.submit(_drawn_of, str(sources.run), name) for name in names]
            for sources, names in asked
        ]
        yield (
            [one for each in pending for one in each.result()] for pending in futures
        )
    except BrokenProcessPool as error:
        raise UserError(
            "a process that drew figures was killed; was there too little memory?"
        ) from error
    finally:
        processes.shutdown(cancel_futures=True)


def _names(sources: Sources) -> list[str]:
    """What there may be something for: of `FIGURES`, and the landscapes drawn."""
    return [*candidates(sources), *_landscapes(sources.run)]


def _landscapes(run: str | Path) -> list[str]:
    """Those that were drawn, and have their tables beside them."""
    names = sorted(path.stem for path in RunPaths.at(run).figures.glob("*.csv"))
    return [name for name in names if _kind(name) in _LANDSCAPES]


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


@functools.lru_cache(maxsize=1)  # a process is asked for one run after another
def _sources(run: str) -> Sources:
    return Sources(run)


def _drawn_of(run: str, name: str) -> list[Drawn]:
    """`_drawn`, in another process."""
    return _drawn(_sources(run), name)


def _drawn(sources: Sources, name: str) -> list[Drawn]:
    """A figure, or none where the run has nothing for it after all."""
    draw = FIGURES[name].draw if name in FIGURES else _LANDSCAPES[_kind(name)].draw
    words = inspect.getdoc(inspect.getmodule(draw)) or name
    # A module says in its first sentences what its figure is.
    drawn = Drawn(name, " ".join(words.split("\n\n")[0].split()))
    try:
        table = _table(sources, name)
        if table is None:
            return []
        drawn = drawn._replace(csv=embed.csv(name, table))
        with only(name):
            return [_with_image(drawn, draw(table), table)]
    except CannotDraw as error:
        return [drawn._replace(fault=str(error))]


def _table(sources: Sources, name: str) -> pd.DataFrame | None:
    if name in FIGURES:
        return plotted(name, sources)
    with only(name):
        return pd.read_csv(RunPaths.at(sources.run).figures / f"{name}.csv")


def _with_image(drawn: Drawn, figure: Figure, table: pd.DataFrame) -> Drawn:
    width, height = (round(_DPI * size) for size in figure.get_size_inches())
    return drawn._replace(
        alt=alt_text(drawn.caption, table),
        image=_image(figure),
        width=width,
        height=height,
    )


def _image(figure: Figure) -> str:
    """The figure as SVG, or as PNG where that is too large.

    It is laid out once, and by itself: `savefig` would do it again for every format,
    and draw all of it once more before, which together is most of the time.
    """
    svg, png = io.BytesIO(), io.BytesIO()
    # Neither the time nor a random salt: the same numbers give the same page.
    with style(), matplotlib.rc_context({"svg.hashsalt": "normlab"}):
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
        if svg.tell() <= _MOST_SVG:
            return embed.address(svg.getvalue(), "image/svg+xml")
        figure.set_dpi(matplotlib.rcParams["savefig.dpi"])
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    # A plot has few colours: a palette of them is a third of the size.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(256).save(png, format="png", optimize=True)
    return embed.address(png.getvalue(), "image/png")
