"""The lab notes of the residual networks ask for what they say they do."""

import re
from pathlib import Path

import pytest
from absl import flags

import normlab
from normlab.config import RunOptions, SweepConfig
from normlab.flags import define, read
from normlab.sweep.grid import expand, plan_size

FOLDER = Path(normlab.__file__).parent.parent / "experiments"
NAMES = ("resnet_batch_size", "resnet_groups")

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="normlab is not run from a checkout"
)


@pytest.mark.parametrize("name", NAMES)
def test_a_note_counts_its_cells_and_says_its_command(name):
    path = FOLDER / f"{name}.flags"
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Question: ")
    assert f"python -m normlab.sweep --flagfile=experiments/{path.name}\n" in text
    values = flags.FlagValues()
    for kind in (SweepConfig, RunOptions):
        define(kind, values)
    values(["sweep", f"--flagfile={path}"])
    cells = expand(read(SweepConfig, values), {"cifar10": 50000})
    members, steps = plan_size(cells)
    said = f"{len(cells)} cells, {members} members, {steps} member-steps"
    assert said in re.sub(r"\n#\s*", " ", text)
    for cell in cells:
        assert cell.config.zero_last_scale and cell.config.model == "resnet20"
        assert len(cell.members) % 2 == 0  # half of them for each of two cores
        # Evaluated where training begins and where it ends alone.
        assert cell.config.eval_every >= cell.config.steps
