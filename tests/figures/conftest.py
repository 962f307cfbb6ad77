"""What tests of figures share."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from normlab.figures import FIGURES


@pytest.fixture
def quick(monkeypatch):
    """Figures are empty, and so are their files: drawing them costs seconds."""

    def savefig(figure: Figure, path: Path) -> None:
        path.write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", savefig)
    for name, drawing in FIGURES.items():
        empty = drawing._replace(draw=lambda table: Figure())
        monkeypatch.setitem(FIGURES, name, empty)
