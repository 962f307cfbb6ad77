"""Training stops where something is due, and nowhere else."""

import itertools

import pytest

from normlab.cell import Cell, Member
from normlab.sweep.due import Due
from tests.cells import cell_config


def due_of(grouping="random", **changes) -> Due:
    base = {"norm": "group_correlated", "groups": 2, "steps": 23, "eval_every": 23}
    member = Member(0, 0.1, 0.0, 0.0, grouping)
    return Due(Cell(cell_config(**base | changes), (member,)))


def anything(due: Due, step: int) -> bool:
    questions = due.regroups, due.evaluates, due.probes, due.on_path
    return any(ask(step) for ask in questions)


EVERY = [
    {"eval_every": 5},
    {"path_every": 7},
    {"path_every": 7, "path_next": True},
    {"path_every": 1, "path_next": True},
    {"quantities": ("gradient_norm",), "probe_every": 4},
    {"regroup_at": 6},
    {"regroup_at": 6, "regroup_every": 4},
    {"regroup_every": 9},
]
PAIRS = list(itertools.combinations_with_replacement(EVERY, 2))


@pytest.mark.parametrize("one, other", PAIRS)
def test_the_following_step_is_the_first_step_at_which_something_is_due(one, other):
    due = due_of(**one | other)
    for step in range(23):
        later = range(step + 1, 24)
        assert due.following(step) == next(s for s in later if anything(due, s))


def regroupings(**changes) -> list[int]:
    due = due_of(**changes)
    return [step for step in range(24) if due.regroups(step)]


def test_when_channels_are_grouped():
    assert regroupings() == [0]
    assert regroupings(regroup_at=5) == [5]
    assert regroupings(regroup_at=5, regroup_every=6) == [5, 11, 17]  # 23 is the end
    assert regroupings(regroup_every=10) == [0, 10, 20]


def test_sequential_members_and_other_norms_are_never_regrouped():
    assert regroupings(grouping="sequential") == []
    assert regroupings(norm="group") == []
    due = due_of("sequential", regroup_at=5, regroup_every=6)
    assert due.following(0) == 23
