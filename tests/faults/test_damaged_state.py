"""Every file of a checkpoint and of the path, damaged in every way, one at a time."""

import gc

import jax
import numpy as np
import pytest

from normlab.errors import UserError
from normlab.store import checkpoints
from normlab.store.layout import numbered
from normlab.store.path import read_path
from normlab.sweep.population import Population
from tests.faults import small

pytestmark = [
    pytest.mark.faults,
    # Of several arrays that cannot be read Orbax raises the first one's error and
    # drops the others' futures; the fixture collects them within the test.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected():
    yield
    gc.collect()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    paths = small.begin(tmp_path_factory.mktemp("whole") / "run")
    small.go_on(paths)
    return paths


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    paths = small.begin(tmp_path_factory.mktemp("interrupted") / "run")
    small.interrupt(paths, 5)
    return paths


@pytest.fixture(scope="module")
def like():
    """The shapes of the cell's state."""
    plan = small.PLAN
    population = Population(
        plan.program,
        plan.cell,
        {},
        execution=plan.execution,
        member_chunk=plan.member_chunk,
        call_steps=4,
    )
    return population.shapes()


def same(found, expected) -> bool:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_a_damaged_checkpoint_is_never_another_state(
    interrupted, like, tmp_path, tally, caplog
):
    """It is sound all the same, or the one before is taken, and it is said."""
    stored = small.own(interrupted).checkpoints
    before, newest = sorted(numbered(stored))
    sound = {step: checkpoints.load(stored, step, like) for step in (before, newest)}
    fallen = 0
    for number, file in enumerate(small.files(stored / str(newest))):
        for damage, content in small.damages(file.read_bytes()):
            paths = small.copy(interrupted, tmp_path / f"{number} {damage}")
            folder = small.own(paths).checkpoints
            small.put(folder / file.relative_to(stored), content)
            tally["files damaged"] += 1
            tally["bytes flipped"] += "flipped" in damage
            caplog.clear()
            found = checkpoints.load_newest(folder, like)
            assert found is not None, (file, damage)
            step, state = found
            assert same(state, sound[step]), (file, damage)
            said = "falling back to " in caplog.text
            assert said == (step == before), (file, damage)
            fallen += step == before
    assert fallen > 10


@pytest.mark.slow
def test_a_damaged_path_is_never_another_path(interrupted, tmp_path, tally):
    stored = small.own(interrupted).path
    steps = sorted(numbered(stored))
    assert len(steps) > 1
    sound = list(read_path(stored))
    refused = 0
    for number, file in enumerate(small.files(stored / str(steps[0]))):
        for damage, content in small.damages(file.read_bytes()):
            paths = small.copy(interrupted, tmp_path / f"{number} {damage}")
            folder = small.own(paths).path
            small.put(folder / file.relative_to(stored), content)
            tally["files damaged"] += 1
            tally["bytes flipped"] += "flipped" in damage
            try:
                found = list(read_path(folder))
            except UserError as error:
                assert "\n" not in str(error) and f"/{steps[0]} " in str(error)
                refused += 1
                continue
            assert same(found, sound), (file, damage)
    assert refused > 10


@pytest.mark.parametrize("how_many", [1, 2])
def test_a_run_goes_on_from_what_is_sound(
    how_many, interrupted, whole, tmp_path, caplog, tally
):
    """All files emptied: of the newest checkpoint, and of all."""
    paths = small.copy(interrupted, tmp_path / "run")
    steps = sorted(numbered(small.own(paths).checkpoints), reverse=True)
    for step in steps[:how_many]:
        for file in small.files(small.own(paths).checkpoints / str(step)):
            file.write_bytes(b"")
            tally["files damaged"] += 1
    small.go_on(paths)
    assert caplog.text.count("falling back") == how_many
    small.same_run(paths, whole)
