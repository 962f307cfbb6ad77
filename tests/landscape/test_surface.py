"""The program of a landscape is run as it was built for."""

import pytest

from normlab.landscape import surface
from normlab.landscape.settings import LandscapeConfig
from tests import tiny


@pytest.mark.parametrize("conv, execution", [("auto", "vmap"), ("lax", "map")])
def test_points_run_as_suits_the_form_of_the_convolutions(conv, execution, monkeypatch):
    monkeypatch.setattr(surface, "platform_here", lambda: "gpu")
    config = LandscapeConfig(run="anywhere", conv=conv)
    made = surface.Surface(tiny.cell_config(), tiny.dataset(), config, total=9)
    assert made._run._execution == execution
