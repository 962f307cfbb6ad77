"""Pages without figures, which cost seconds."""

import pytest

from normlab.page import document


def no_figures(patch: pytest.MonkeyPatch) -> None:
    """No run has anything that there is a figure of."""
    patch.setattr(document.drawn, "candidates", lambda sources: [])
