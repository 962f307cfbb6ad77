"""The figures of a run as images in the page, each with its table to download."""

import contextlib
import functools
import inspect
import io
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from normlab.errors import UserError
from normlab.figures import (
    FIGURES,
    CannotDraw,
    PaperStyle,
    Sources,
    candidates,
    landscape_contour,
    landscape_line,
    landscape_surface,
    only,
    plotted,
)
from normlab.figures.failed import Failed, failed
from normlab.figures.paper import drawing_with
from normlab.figures.sources import METRICS
from normlab.figures.style import style
from normlab.members.placement import cores
from normlab.page.alt import alt_text
from normlab.page.files import File, csv
from normlab.page.seen import all_seen
from normlab.store import RunPaths

_DPI, _PIXELS = 96, 128  # CSS pixels per inch, and the image's own
# Plots have few colours. With 32, an image is less than half as large.
_COLOURS, _SHADED = 32, 256
# One process per this many candidate figures. About half of them are drawn, which takes
# about as long as it takes to start a process.
_WORTH, _MOST_PROCESSES = 12, 4
# The figures that python -m normlab.landscape writes to the run's figures/.
_LANDSCAPES = {
    "contour": landscape_contour,
    "surface": landscape_surface,
    "line": landscape_line,
}


class Drawn(NamedTuple):
    """A figure of the page, or the reason why it could not be drawn.

    Attributes:
      name: the name in `FIGURES`, or of a landscape's file.
      caption: a sentence that describes the figure.
      seen: metric -> a sentence that says what is seen of it; "" for the main one.
      alt: the alternative text, for readers who cannot see the image.
      image: the image, or None.
      width, height: in CSS pixels.
      csv: the plotted table, or None if it could not be made.
      fault: why there is no image, or "".
    """

    name: str
    caption: str
    seen: Mapping[str, str] = {}  # never changed
    alt: str = ""
    image: File | None = None
    width: int = 0
    height: int = 0
    csv: File | None = None
    fault: str = ""


@contextlib.contextmanager
def drawing(
    all_sources: Sequence[Sources], processes: int | None = None
) -> Iterator[Iterator[list[Drawn]]]:
    """Draws the figures of runs, in other processes if there are many.

    Args:
      processes: at most so many. With 1, this process draws: a program that calls a
        function of normlab may not be one that Python can start again.

    Yields:
      An iterator over the runs, in order, that gives each run's figures. With other
      processes, drawing starts immediately, and the iterator waits for the results.

    Raises:
      UserError: a path is not a run directory. Iterating raises it if a file of a run
        is damaged or missing.
    """
    asked = [(sources, _names(sources)) for sources in all_sources]
    many = sum(len(names) for _, names in asked)
    workers = min(cores(), processes or _MOST_PROCESSES, many // _WORTH)
    if workers < 2:
        yield (
            [one for name in names for one in _drawn(sources, name)]
            for sources, names in asked
        )
        return
    # Do not fork: JAX is multithreaded.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context)
    try:
        futures = [
            [pool.submit(_drawn_of, str(sources.run), name) for name in names]
            for sources, names in asked
        ]
        yield (
            [one for each in pending for one in each.result()] for pending in futures
        )
    except BrokenProcessPool as error:
        raise UserError(
            "a process that draws figures was killed, perhaps for lack of memory"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _names(sources: Sources) -> list[str]:
    """The figures that may have data: those in `FIGURES`, and drawn landscapes."""
    return [*candidates(sources), *_landscapes(sources.run)]


def _landscapes(run: str | Path) -> list[str]:
    """The names of the landscapes that were drawn, from their tables."""
    names = sorted(path.stem for path in RunPaths.at(run).figures.glob("*.csv"))
    return [name for name in names if _kind(name) in _LANDSCAPES]


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


@functools.lru_cache(maxsize=1)  # a process draws one run after another
def _sources(run: str) -> Sources:
    return Sources(run)


@functools.lru_cache(maxsize=1)
def _failed(sources: Sources) -> Failed:
    return failed(sources.table(METRICS))


def _drawn_of(run: str, name: str) -> list[Drawn]:
    """Calls `_drawn` in a worker process."""
    return _drawn(_sources(run), name)


def _drawn(sources: Sources, name: str) -> list[Drawn]:
    """A figure, or an empty list if the run has no data for it."""
    draw = FIGURES[name].draw if name in FIGURES else _LANDSCAPES[_kind(name)].draw
    words = inspect.getdoc(inspect.getmodule(draw)) or name
    # The first paragraph of a module's docstring describes its figure.
    drawn = Drawn(name, " ".join(words.split("\n\n")[0].split()))
    try:
        table = _table(sources, name)
        if table is None:
            return []
        told = all_seen(table, name, _failed(sources))
        drawn = drawn._replace(csv=csv(name, table), seen=told)
        with only(name), drawing_with(PaperStyle(), sources.labels):
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
        image=_image(drawn.name, figure),
        width=width,
        height=height,
    )


def _image(name: str, figure: Figure) -> File:
    """The figure as WebP, which is a third of the size of SVG with its letters.

    The layout is computed only once, separately. `savefig` would repeat it with an
    additional drawing pass, which would take most of the time.
    """
    with style():
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        figure.set_dpi(_PIXELS)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    found = io.BytesIO()
    shaded = _kind(name) in _LANDSCAPES
    picture = picture.quantize(_SHADED if shaded else _COLOURS)
    picture.save(found, format="webp", lossless=True)
    return File(f"{name}.webp", found.getvalue(), "image/webp")
