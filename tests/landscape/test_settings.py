"""Every setting that cannot be is one line that names its flag."""

import pytest
from absl import flags

from normlab.errors import UserError
from normlab.flags import define, read
from normlab.landscape.settings import LandscapeConfig


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": ""}, "--run="),
        ({"kind": "cube"}, "--kind=cube: unknown; known: plane, line, between, path"),
        ({"split": ("validation",)}, "--split=validation: unknown; known: train, test"),
        ({"statistics": ("precise",)}, "--statistics=precise: .*batch, running"),
        ({"statistics": ("batch", "batch")}, "--statistics names batch twice"),
        ({"points": 24}, "--points=24: use an odd number"),
        ({"points": 1}, "--points=1: .*at least 3"),
        ({"span": 0.0}, "--span=0.0: must be above 0"),
        ({"span": float("nan")}, "--span=nan"),
        ({"margin": -0.1}, "--margin=-0.1: must be 0 or more"),
        ({"images": 0}, "--images=0: must be 1 or more"),
        ({"step": -2}, "--step=-2"),
        ({"path_points": 2}, "--path_points=2: must be 3 or more"),
        ({"batch": -1}, "--batch=-1"),
        ({"name": "../x"}, "--name=../x: use a name, not a path"),
        ({"execution": "warp"}, "--execution=warp: unknown"),
        ({"devices": "0"}, "--devices=0"),
        ({"member_chunk": "x"}, "--member_chunk=x"),
    ],
)
def test_mistakes(changes, said):
    with pytest.raises(UserError, match=said) as caught:
        LandscapeConfig(**{"run": "runs/x"} | changes)
    assert "\n" not in str(caught.value)


def test_flags():
    values = flags.FlagValues()
    define(LandscapeConfig, values)
    values(["x", "--run=runs/y", "--lr=1e-3,1e-2", "--norm=batch", "--from_step=3"])
    config = read(LandscapeConfig, values)
    assert config == LandscapeConfig(
        run="runs/y", lr=(1e-3, 1e-2), norm=("batch",), from_step=3
    )
    assert config.figure_name == "landscape_plane"
    assert LandscapeConfig(run="x", name="mine").figure_name == "mine"
