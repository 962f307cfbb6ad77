"""Checkpoints come back as they went in, or not at all."""

import gc
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from normlab.errors import UserError
from normlab.store import checkpoints
from normlab.store.checkpoints import load, load_newest, save
from normlab.store.layout import numbered
from normlab.train.optimizers import OPTIMIZERS, make_optimizer

# Of several arrays that cannot be read Orbax raises the first one's error and drops
# the others' futures, which asyncio complains of when they are collected.
# The fixture `collected` collects them within the test that is told to ignore them.
damaging = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def tree(value: float = 1.0) -> dict:
    """Small, and of every dtype and shape that a state may have."""
    return {
        "params": {"w": np.full((2, 3), value, np.float32)},
        "step": np.array([7, 8], np.int32),
        "seed": np.array([1, 2**32 - 1], np.uint32),
        "half": np.asarray(jnp.array([1.5, value], jnp.bfloat16)),
        "scalar": np.array(3, np.int32),
        "flag": np.array([True, False]),
        "batch_stats": {},
        "special": np.array([np.nan, np.inf, -0.0], np.float32),
    }


def assert_same(found, wanted) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    for a, b in pairs:
        assert isinstance(a, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == np.asarray(b).tobytes()


def shapes(of):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), of)


def test_what_is_saved_is_loaded(tmp_path):
    save(tmp_path, 3, tree(), keep=None)
    assert_same(load(tmp_path, 3, shapes(tree())), tree())
    found = load_newest(tmp_path, tree(5.0))
    assert found is not None and found[0] == 3
    assert_same(found[1], tree())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_states_keep_their_structure(tmp_path, name):
    params = {"w": jnp.ones((2, 2)), "norm1": {"scale": jnp.ones(2)}}
    tx = make_optimizer(name)
    state: Any = tx.init(params)
    state = state._replace(hyperparams={k: jnp.float32(0.1) for k in state.hyperparams})
    _, state = tx.update(params, state, params)
    save(tmp_path, 1, {"opt_state": state}, keep=1)
    found = load(tmp_path, 1, {"opt_state": shapes(state)})
    assert_same(found, {"opt_state": jax.tree.map(np.asarray, state)})
    # What came back goes on like what went in.
    again, _ = tx.update(params, found["opt_state"], params)
    wanted, _ = tx.update(params, state, params)
    assert_same(*(jax.tree.map(np.asarray, x) for x in (again, wanted)))
    assert optax.tree.norm(again) > 0


def test_the_last_few_are_kept(tmp_path):
    for step in (2, 5, 9, 11):
        save(tmp_path, step, {"x": np.array([step])}, keep=2)
    assert list(numbered(tmp_path)) == [9, 11]
    for step in (2, 5, 9):
        save(tmp_path / "all", step, {"x": np.array([step])}, keep=None)
    assert list(numbered(tmp_path / "all")) == [2, 5, 9]


def test_nothing_is_stored(tmp_path):
    assert load_newest(tmp_path, tree()) is None
    assert load_newest(tmp_path / "none", tree()) is None


def test_half_written_and_foreign_entries_are_passed_over(tmp_path):
    save(tmp_path, 3, tree(), keep=None)
    (tmp_path / "7.orbax-checkpoint-tmp-123").mkdir()
    (tmp_path / "notes").mkdir()
    found = load_newest(tmp_path, tree())
    assert found is not None and found[0] == 3


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def collected():
    yield
    gc.collect()  # takes a second where much was imported and compiled


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    for step in (1, 2):
        save(folder, step, tree(float(step)), keep=None)
    return folder


def newest(folder: Path) -> int:
    """The step that is loaded, after checking that its values are right."""
    found = load_newest(folder, tree())
    assert found is not None
    step, values = found
    assert_same(values, tree(float(step)))
    return step


@damaging
@pytest.mark.faults
def test_all_damaged_is_none(stored, tmp_path, caplog, collected):
    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)
    for path in files(copy):
        path.write_bytes(b"")
    assert load_newest(copy, tree()) is None
    assert caplog.text.count("falling back") == 2
    assert "no earlier one: falling back to step 0" in caplog.text
    assert not numbered(copy)
    save(copy, 2, tree(), keep=2)  # the step can be saved again
    assert newest_step(copy) == 2


def newest_step(folder: Path) -> int:
    found = load_newest(folder, tree())
    assert found is not None
    return found[0]


def without(name: str) -> dict:
    return {k: v for k, v in tree().items() if k != name}


@pytest.mark.parametrize(
    "like",
    [
        tree() | {"step": np.zeros(2, np.float32)},
        tree() | {"step": np.zeros(2, np.uint32)},
        tree() | {"step": np.zeros(3, np.int32)},
        tree() | {"step": np.zeros(1, np.int32)},
        tree() | {"step": np.zeros((2, 1), np.int32)},
        tree() | {"scalar": np.zeros(1, np.int32)},
        tree() | {"more": np.zeros(2, np.int32)},
        tree() | {"batch_stats": {"mean": np.zeros(2, np.float32)}},
        without("step"),
        {"other": np.zeros(2)},
    ],
    ids=[
        "float",
        "unsigned",
        "longer",
        "shorter",
        "deeper",
        "scalar",
        "more",
        "stats",
        "less",
        "other",
    ],
)
def test_another_structure_is_refused(stored, like):
    with pytest.raises(UserError, match=r"stored.*/2 ") as caught:
        load(stored, 2, like)
    assert "\n" not in str(caught.value)


def test_a_step_that_is_not_there(stored):
    with pytest.raises(UserError, match="/9 cannot be read"):
        load(stored, 9, tree())


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*file/1"):
        save(tmp_path / "file", 1, tree(), keep=1)


@pytest.mark.faults
def test_a_full_disk_loses_nothing_that_was_saved(stored, tmp_path, monkeypatch):
    import orbax.checkpoint as ocp

    copy = tmp_path / "copy"
    shutil.copytree(stored, copy)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    with pytest.raises(UserError, match="cannot write .*/3: No space left on device"):
        save(copy, 3, tree(), keep=1)
    assert newest(copy) == 2


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(Path("here"), 1, tree(), keep=1)
    assert_same(load(Path("here"), 1, tree()), tree())


def test_another_state_is_refused_and_left_alone(tmp_path):
    save(tmp_path, 3, {"a": np.zeros((2, 3), np.float32)}, keep=None)
    for like in (
        {"a": np.zeros((2, 4), np.float32)},
        {"a": np.zeros((2, 3), np.int32)},
        {"a": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.float32)},
    ):
        with pytest.raises(UserError, match="another kind of state") as caught:
            load_newest(tmp_path, like)
        assert type(caught.value) is UserError
    assert (tmp_path / "3").is_dir()  # a sound state is never set aside


def test_no_memory_is_not_taken_for_damage(tmp_path, monkeypatch):
    like = {"a": np.zeros((2, 3), np.float32)}
    save(tmp_path, 3, like, keep=None)

    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(checkpoints.ocp.CheckpointManager, "restore", fails)
    with pytest.raises(MemoryError):
        load_newest(tmp_path, like)
    assert (tmp_path / "3").is_dir()
