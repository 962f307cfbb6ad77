"""Every experiment is a lab note: a question, its command, and a sweep that expands."""

from pathlib import Path

import pytest
from absl import flags

from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.run_options import RunOptions
from normlab.sweep.grid import expand

FOLDER = Path(__file__).parents[1] / "experiments"
FILES = sorted(FOLDER.glob("*.flags"))
SIZES = {"cifar10": 50000, "digits": 1500, "gaussian": 1000, "gaussian_uniform": 1000}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_note_says_its_question_and_its_command(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Question: ")
    assert f"--flagfile=experiments/{path.name}" in text
    notes = [line for line in text.splitlines() if line.startswith("#")]
    assert max(map(len, notes)) <= 120


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if not path.stem.startswith("bench")],
    ids=lambda path: path.stem,
)
def test_a_sweep_expands_to_cells_of_its_own(path):
    values = flags.FlagValues()
    for kind in (SweepConfig, RunOptions):
        define(kind, values)
    values(["sweep", f"--flagfile={path}"])
    cells = expand(read(SweepConfig, values), SIZES)
    assert len({cell.id for cell in cells}) == len(cells) > 0
    assert all(cell.members for cell in cells)


def test_the_page_is_of_all_runs_that_are_kept():
    lines = (FOLDER / "results" / "page.flags").read_text("utf-8").splitlines()
    named = [line for line in lines if not line.startswith("#")]
    kept = {path.parents[1].name for path in FOLDER.glob("results/*/cells/*")}
    assert sorted(named) == sorted(f"--run=experiments/results/{x}" for x in kept)
