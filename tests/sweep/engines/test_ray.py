"""Cells as tasks of a Ray cluster."""

import dataclasses
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from normlab.errors import UserError
from normlab.plugins import permits
from normlab.run_options import RunOptions
from normlab.store import RunPaths, load
from normlab.store.layout import read_json, write_json
from normlab.store.run import cell_status
from normlab.sweep.engines import ray as engine
from normlab.sweep.engines.ray_task import run_there, worker_environment
from tests.store.handmade import make_cell
from tests.sweep.engines.commands import DRIVER, ENVIRONMENT, words

PATH = "PYTHONPATH"


def test_a_task_has_the_drivers_settings_and_nothing_else():
    own = {"NORMLAB_DATA_DIR": "/d", "XLA_FLAGS": "--x", "JAX_ENABLE_X64": "1"}
    found = worker_environment(0, own | {"HOME": "/h", "TOKEN": "s", PATH: "/p"})
    path = found.pop(PATH).split(os.pathsep)
    assert found == own | {"JAX_PLATFORMS": "cpu"}
    assert path[1:] == ["/p"] and os.path.isdir(os.path.join(path[0], "normlab"))


@pytest.mark.parametrize("gpus, asked", [(0, "cuda"), (0, "cpu"), (0, None)])
def test_without_a_gpu_it_takes_none(gpus, asked):
    """Ray hides no GPU from a task that asked for none."""
    environ = {} if asked is None else {"JAX_PLATFORMS": asked}
    assert worker_environment(gpus, environ)["JAX_PLATFORMS"] == "cpu"


def test_the_drivers_own_platform_is_not_the_tasks():
    assert "JAX_PLATFORMS" not in worker_environment(1, {"JAX_PLATFORMS": "cpu"})
    assert worker_environment(1, {"JAX_PLATFORMS": "cuda"})["JAX_PLATFORMS"] == "cuda"
    assert set(worker_environment(1, {})) == {PATH}


def test_cells_that_share_a_gpu_share_its_memory():
    found = worker_environment(0.25, {})
    assert found["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert 0 < 4 * float(found["XLA_PYTHON_CLIENT_MEM_FRACTION"]) < 1
    own = {"XLA_PYTHON_CLIENT_MEM_FRACTION": ".1"}
    assert worker_environment(0.5, own).items() >= own.items()


@pytest.mark.parametrize(
    "options, gpus, devices",
    [
        ({}, 0, "1"),
        ({"cell_cpus": 4.0}, 0, "4"),
        ({"cell_cpus": 0.5}, 0, "1"),
        ({"cell_cpus": 4.0, "devices": "2"}, 0, "2"),
        ({"cell_cpus": 4.0}, 1, "auto"),
    ],
)
def test_a_task_takes_its_share_of_the_cores(options, gpus, devices, monkeypatch):
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    assert engine._devices(RunOptions(**options), gpus) == devices


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    needs = r"needs the package ray: pip install 'normlab\[ray\]'"
    with pytest.raises(UserError, match=needs), engine.open_ray(SimpleNamespace()):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("address, what", [("", "no cluster"), ("a:1", "=a:1: c")])
def test_a_cluster_that_does_not_start_is_one_line(address, what):
    """Ray has a bare Exception for a node that is slow to start."""

    def init(**_):
        raise Exception("The current node\n timed out during startup")

    with pytest.raises(UserError, match=f"{what}.*: The current node timed out"):
        engine._connect(SimpleNamespace(init=init), address)


def test_a_node_that_does_not_see_the_run_ends_it(tmp_path):
    cell, options = make_cell(), vars(RunOptions(compilation_cache="none"))
    state, why = run_there(permits(), str(tmp_path / "run"), cell, options, "1")
    assert state == "unwritable" and "give a folder that all nodes share" in why
    assert not (tmp_path / "run").exists()


def test_what_a_node_lacks_is_the_cells_failure(tmp_path):
    """Its data, say: the plan is made where the cell runs."""
    cell, paths = make_cell(), RunPaths.at(tmp_path / "run")
    write_json(paths.sweep, {"config": {"odd": 1}})
    options = vars(RunOptions(compilation_cache="none"))
    state, why = run_there(permits(), str(paths.root), cell, options, "1")
    assert state == "failed" and "not a SweepConfig" in why
    assert cell_status(paths.cell(cell.id)) == "failed"


def test_a_lost_cell_is_waited_for_until_it_is_heard_of(tmp_path, monkeypatch):
    paths = RunPaths.at(tmp_path).cell("x")
    now = [0.0]
    monkeypatch.setattr(engine.time, "monotonic", lambda: now[0])
    busy = engine._Busy(paths)
    assert busy.may_be_lost()
    now[0] += 119
    assert busy.may_be_lost()
    write_json(paths.progress, {"step": 1})
    assert not busy.may_be_lost()
    busy = engine._Busy(paths)
    now[0] += 121
    assert not busy.may_be_lost()


def test_options_survive_the_way_to_a_task():
    options = RunOptions(cell_gpus="0.5", shard="1/3", devices="2")
    assert RunOptions(**vars(options)) == options == dataclasses.replace(options)


@pytest.mark.slow
def test_a_cell_on_this_machine(tmp_path):
    """The cluster is started for it; the driver starts no JAX backend."""
    out = tmp_path / "run"
    command = [sys.executable, "-c", DRIVER, *words(out, tmp_path / "cache")]
    command += ["--engine=ray", "--norm_dense=false", "--batch_order=shuffled"]
    command += ["--init=standard", "--steps=2"]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert "plan: 2 networks (members) in 1 program (cell)" in done.stdout
    assert "complete (2 members, 2 steps)" in done.stderr
    assert load(out)["step"].max() == 2
    (session,) = read_json(out / "sweep.json")["sessions"]
    assert session["device"] == "cpu: cpu"
