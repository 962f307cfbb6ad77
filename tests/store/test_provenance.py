"""A run says where its numbers come from."""

import datetime
import json
import subprocess

import pytest
from absl import flags

import normlab
from normlab.config import SweepConfig
from normlab.flags import define, read, write
from normlab.run_options import RunOptions
from normlab.store import provenance
from normlab.store.layout import RunPaths
from normlab.store.run import open_run


def test_a_session_is_stamped():
    found = provenance.session()
    assert list(found) == ["started", "device", "revision", "versions"]
    assert found["device"].startswith("cpu: ")
    assert {"normlab", "python", "jax", "jaxlib", "flax", "optax"} <= set(
        found["versions"]
    )
    assert found["versions"]["normlab"] == normlab.__version__
    started = datetime.datetime.fromisoformat(found["started"])
    age = datetime.datetime.now(datetime.UTC) - started
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=1)
    assert json.loads(json.dumps(found)) == found


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder that takes normlab's place."""
    folder = tmp_path / "elsewhere" / "normlab"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setattr(normlab, "__file__", str(folder / "__init__.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


def git(folder, *words: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", *identity, *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_no_revision_outside_git(package):
    assert provenance.revision() is None


def test_no_revision_without_git(package, monkeypatch):
    git(package.parent, "init")
    monkeypatch.setenv("PATH", "")
    assert provenance.revision() is None


def test_the_revision_of_a_checkout(package):
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "first")
    revision = provenance.revision()
    assert revision is not None and len(revision) == 12
    (package / "__init__.py").write_text("changed")
    assert provenance.revision() == f"{revision}-dirty"


def test_a_copy_inside_another_checkout_has_no_revision(package):
    git(package.parent, "init")
    (package.parent / "other.py").touch()
    git(package.parent, "add", "other.py")
    git(package.parent, "commit", "-m", "first")
    assert provenance.revision() is None


def test_the_stored_flags_replay_the_run(tmp_path):
    config = SweepConfig(
        epochs=0.3,
        lr=(1e-5, 0.1 + 0.2),
        norm=("batch", "none"),
        norm_scale=(False, True),
        eval_statistics=("precise", "running"),
        seed=7,
    )
    paths = RunPaths.at(tmp_path / "a run, ü")
    lines = [*write(config), f"--out={paths.root}"]
    open_run(paths, config, (), lines, {"started": "now"})
    values = flags.FlagValues()
    define(SweepConfig, values)
    define(RunOptions, values)
    values(["program", f"--flagfile={paths.flags}"])
    assert read(SweepConfig, values) == config
    assert read(RunOptions, values) == RunOptions(out=str(paths.root))
