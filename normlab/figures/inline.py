"""Figures that a notebook shows."""

import functools
import io

from matplotlib.figure import Figure

from normlab.figures.style import style


def shown_inline(figure: Figure) -> Figure:
    """``figure``, which IPython shows as an image.

    IPython knows how to show figures only after pyplot was imported, which normlab does
    not need. Where it was, IPython's own way is used.
    """
    figure._repr_png_ = functools.partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    with style():
        figure.savefig(picture, format="png", dpi=figure.dpi)
    return picture.getvalue()
