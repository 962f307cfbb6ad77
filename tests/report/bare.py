"""Pages without figures, which cost seconds."""

import pytest

from normlab.report import page


def no_figures(patch: pytest.MonkeyPatch) -> None:
    """No run has anything that there is a figure of."""
    patch.setattr(page.drawn, "candidates", lambda sources: [])
