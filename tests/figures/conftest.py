"""What tests of figures share."""

import io

import pytest
from matplotlib.figure import Figure

from normlab.figures import FIGURES


@pytest.fixture
def quick(monkeypatch):
    """Figures are empty, and so are their files: drawing them costs seconds."""

    def savefig(figure: Figure, file: io.BytesIO, format: str) -> None:
        pass

    monkeypatch.setattr(Figure, "savefig", savefig)
    for name, drawing in FIGURES.items():
        empty = drawing._replace(draw=lambda table: Figure())
        monkeypatch.setitem(FIGURES, name, empty)
