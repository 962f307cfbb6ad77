"""What tests of figures share."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def quick(monkeypatch):
    """Figures are saved as empty files: drawing them costs seconds."""

    def savefig(figure: Figure, path: Path) -> None:
        path.write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", savefig)
