"""A plan fits a terminal of 80 columns."""

from pathlib import Path

import pytest
from absl import flags

from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.members.memory import Footprint
from normlab.run_options import RunOptions
from normlab.sweep.cell_plan import CellPlan, Later
from normlab.sweep.grid import expand, names_of
from normlab.sweep.plan import Plan
from tests import tiny
from tests.cells import SIZES

FOLDER = Path(__file__).parents[2] / "experiments"
NAMES = sorted(p.stem for p in FOLDER.glob("*.flags") if "bench" not in p.stem)
WHY = "auto: all fit in 60% of the 118.9 GiB of free memory, by an upper bound"


def plan_of(name: str, planned: bool) -> Plan:
    """The plan of a flagfile, as on a computer of eight devices."""
    values = flags.FlagValues()
    define(SweepConfig, values)
    define(RunOptions, values)
    values(["test", f"--flagfile={FOLDER / name}.flags"])
    cells = expand(read(SweepConfig, values), SIZES)
    names, dataset, need = names_of(cells), tiny.dataset(), Footprint(2**27, 2**29)

    def never():
        raise AssertionError("a plan's text builds nothing")

    def planned_cell(cell) -> CellPlan | Later:
        if not planned:
            return Later(cell, names[cell.id], never)
        some = len(cell.members)
        rest = (never, need, "map", some, WHY, 8)
        return CellPlan(cell, names[cell.id], dataset, *rest)

    plans = tuple(map(planned_cell, cells))
    return Plan(plans, ("map (auto: on a CPU, one member stays in cache)",), len(cells))


@pytest.mark.parametrize("planned", [True, False])
def test_no_line_is_longer(planned):
    for name in NAMES:
        plan = plan_of(name, planned)
        lines = plan.text(verbose=True).splitlines()
        brief = plan.text().splitlines()
        assert len(brief) <= 5 and max(map(len, brief)) <= 80, name
        assert max(map(len, lines)) <= 80, name
        # Nothing is lost, only folded.
        whole = " ".join(plan.text(verbose=True).split())
        assert all(one.line in whole for one in plan.cells)


def test_the_quickstart_has_a_line_for_each_cell():
    plan = plan_of("quickstart", planned=True)
    lines = plan.text(verbose=True).splitlines()
    assert [line.split(":")[0].strip() for line in lines] == [
        "plan",
        "execution",
        "none",
        "batch",
        "group (G=4)",
        "at once",
    ]
    size = "36 networks (members) in 3 programs (cells), 8,640 steps of batch size 50"
    assert lines[0] == f"plan: {size}"
    names = ("none", "batch", "group (G=4)")
    brief = [f"  {name}: 12 members x 240 steps" for name in names]
    assert plan.text().splitlines() == [lines[0], *brief]
    several = plan_of("postmortem_batch_size", planned=True).text().splitlines()
    assert several[0].endswith(" steps")


def test_a_brief_plan_of_many_cells_names_some():
    plan = plan_of("resnet_groups", planned=True)
    first, second, third, *more = [cell.name for cell in plan.cells]
    brief = " ".join(plan.text().split())
    assert f"{first}, {second}, {third} and {len(more)} more" in brief
