"""The gallery of docs/gallery.md: a picture of every kind of figure, from stored runs.

To add a figure, add its run to `PICTURES`. A test checks that no kind is missing.
"""

import inspect
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from normlab.errors import UserError
from normlab.figures import FIGURES, PaperStyle, Sources, plotted
from normlab.figures.headings import headline_of
from normlab.figures.paper import drawing_with
from normlab.figures.style import drawn, style
from normlab.gallery.others import OTHERS, run_at
from normlab.store.layout import replacing, write_text

# The kinds of figures by section -> the stored run that shows each of them best.
PICTURES: dict[str, dict[str, str]] = {
    "Training": {
        "curves": "santurkar_vgg_cpu",
        "lr_sensitivity": "confirm_lr",
        "batch_size": "postmortem_batch_size",
        "groups": "proper_gn",
        "gradient_norm": "report_gn",
        "gradient_norm_layers": "proper_histograms",
    },
    "Activations": {
        "activation_moments": "proper_histograms",
        "activation_histogram": "smoothness_digits",
    },
    "The student report": {"report_bn": "report_bn", "report_gn": "report_gn"},
    "Santurkar et al. 2018": {
        "santurkar_1": "santurkar_vgg_cpu",
        "santurkar_2": "smoothness_digits",
        "santurkar_3": "smoothness_digits",
        "santurkar_4": "santurkar_vgg_cpu",
        "santurkar_5": "santurkar_dln",
        "santurkar_10": "santurkar_dln",
        "santurkar_11": "santurkar_vgg_cpu",
        "santurkar_12": "gallery_digits",
        "santurkar_13": "santurkar_dln",
        "smoothness_by_eta": "santurkar_vgg_cpu",
        "penalty": "santurkar_decay_cpu",
    },
    "Curvature": {"sharpness": "gallery_digits", "hessian_spectrum": "gallery_digits"},
    "Identities of norm layers": {
        "identity_slack": "smoothness_digits",
        "norm_consequences": "smoothness_digits",
    },
}
_DPI, _COLOURS = 100, 128
_INTRO = """# A gallery of figures

Every kind of figure, drawn from stored runs in `experiments/`. The bold line
above a figure says what is seen; most are computed from the figure's numbers.
[Figures for papers](figures.md) says how to draw them from runs of your own. This page
and its pictures are made by `python -m normlab.gallery`.
"""


class Shown(NamedTuple):
    """A picture of the gallery.

    Attributes:
      name: the kind of figure; the name of its file.
      words: what the figure is.
      command: the command that draws it.
      figure: the figure.
    """

    name: str
    words: str
    command: str
    figure: Figure


def make(experiments: Path, out: Path) -> list[Path]:
    """Writes ``gallery.md`` and the pictures in ``gallery/``, and returns their paths.

    Args:
      experiments: the folder of flagfiles and stored runs.
      out: the folder of the page.

    Raises:
      UserError: a stored run lacks the data for its figure, or ``out`` cannot be
        written.
    """
    written, page = [], [_INTRO]
    for section, shown in _sections(experiments):
        page.append(f"## {section}\n")
        for one in shown:
            path = out / "gallery" / f"{one.name}.png"
            with replacing(path) as temporary:
                temporary.write_bytes(picture(one.figure))
            written.append(path)
            says = headline_of(one.figure) or one.words
            page += [f"### {one.name}\n", f"{one.words}\n"]
            page.append(f"![{says}](gallery/{one.name}.png)\n")
            page.append(f"```\n{one.command}\n```\n")
    write_text(out / "gallery.md", "\n".join(page))
    return [*written, out / "gallery.md"]


def _sections(experiments: Path) -> Iterator[tuple[str, Iterator[Shown]]]:
    for section, runs in PICTURES.items():
        yield (
            section,
            (_of_run(name, run_at(experiments, run)) for name, run in runs.items()),
        )
    for section, others in OTHERS.items():
        yield section, (_other(name, experiments, *how) for name, how in others.items())


def _of_run(name: str, run: Path) -> Shown:
    sources = Sources(run)
    table = plotted(name, sources, asked=True)
    assert table is not None  # it was asked for
    with drawing_with(PaperStyle(), sources.labels):
        figure = drawn(name, FIGURES[name].draw, table)
    command = f"python -m normlab.figures --run={run} --figures={name}"
    return Shown(name, _words(FIGURES[name].draw), command, figure)


def _other(name: str, experiments: Path, tabulate, draw, command: str) -> Shown:
    return Shown(name, _words(draw), command, drawn(name, draw, tabulate(experiments)))


def _words(draw) -> str:
    """The first paragraph of the docstring of the figure's module."""
    words = inspect.getdoc(inspect.getmodule(draw))
    if not words:
        raise UserError(f"the module of {draw} has no docstring")
    return " ".join(words.split("\n\n")[0].split())


def picture(figure: Figure, dpi: int = _DPI) -> bytes:
    """The figure as a small PNG: plots have few colours."""
    whole, small = io.BytesIO(), io.BytesIO()
    with style():
        figure.savefig(whole, format="png", dpi=dpi)
    image = Image.open(whole).convert("RGB").quantize(_COLOURS)
    image.save(small, format="png", optimize=True)
    return small.getvalue()
