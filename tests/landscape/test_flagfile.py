"""The lab note: its flags are a sweep's, and its commands are understood."""

import re
from pathlib import Path
from typing import Any

import pytest
from absl import flags

import normlab
from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.landscape.settings import LandscapeConfig
from normlab.run_options import RunOptions
from normlab.settings import declared

FILE = Path(normlab.__file__).parent.parent / "experiments/landscape_small_cnn.flags"

pytestmark = pytest.mark.skipif(
    not FILE.parent.exists(), reason="normlab is not run from a checkout"
)


def parsed(kinds, words) -> list[Any]:
    values = flags.FlagValues()
    for kind in kinds:
        define(kind, values)
    assert values(["x", *words]) == ["x"]
    return [read(kind, values) for kind in kinds]


def test_the_sweep_stores_a_path():
    config, options = parsed((SweepConfig, RunOptions), [f"--flagfile={FILE}"])
    assert config.path_every and config.dataset == ("cifar10",)
    text = FILE.read_text(encoding="utf-8")
    assert f"python -m normlab.sweep --flagfile=experiments/{FILE.name}" in text
    assert text.startswith("# Question: ") and not options.out


def test_the_commands_of_the_note():
    text = FILE.read_text(encoding="utf-8").replace("\\\n#", " ")
    commands = re.findall(
        r"^#\s+python -m normlab\.landscape (.*)$", text, re.MULTILINE
    )
    kinds = set()
    for command in commands:
        (config,) = parsed((LandscapeConfig,), command.split())
        assert config.run == f"runs/{FILE.stem}"
        kinds.add(config.kind)
    assert kinds == set(declared(LandscapeConfig.__dataclass_fields__["kind"]).known)
