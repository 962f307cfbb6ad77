"""One run by several processes, on several nodes, one of which is lost: one result."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from normlab.store import RunPaths, load
from normlab.store.layout import read_json
from normlab.sweep.status import run_status
from tests.sweep.engines.commands import CELLS, DRIVER, ENVIRONMENT, command, words

pytestmark = [pytest.mark.slow, pytest.mark.faults]

# A head and two nodes of one CPU each; the second node is lost while cells run on both.
TWO_NODES = """
import json, subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster
from normlab.store import RunPaths
from normlab.sweep.status import run_status

def until(ready):
    while process.poll() is None and not ready():
        time.sleep(0.05)

def states():
    if not paths.sweep.exists():
        return []
    return [cell.state for cell in run_status(paths)]

if __name__ == "__main__":
    driver, words = sys.argv[1], sys.argv[2:]
    (out,) = (w.removeprefix("--out=") for w in words if w.startswith("--out="))
    paths = RunPaths.at(out)
    room = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **room})
    nodes = [cluster.add_node(num_cpus=1, **room) for _ in range(2)]
    words += ["--engine=ray", f"--ray_address={cluster.address}"]
    process = subprocess.Popen([sys.executable, "-c", driver, *words])
    until(lambda: "complete" in states() and states().count("running") == 2)
    before = states()
    cluster.remove_node(nodes[1], allow_graceful=False)
    status = process.wait()
    Path(out, "told.json").write_text(json.dumps({"status": status, "before": before}))
    cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache) -> pd.DataFrame:
    """The numbers, by one process."""
    out = tmp_path_factory.mktemp("whole") / "run"
    (done,) = finish([command(out, cache)])
    assert done.returncode == 0, done.stderr
    frame = load(out)
    assert frame["cell"].nunique() == CELLS
    return frame


def finish(commands: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    """Runs all at once, and waits for all."""
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(c, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)
        for c in commands
    ]
    ended = []
    for process in running:
        out, err = process.communicate(timeout=3000)
        ended.append(
            subprocess.CompletedProcess(process.args, process.returncode, out, err)
        )
    return ended


def check(out: Path, whole: pd.DataFrame, sessions: int) -> None:
    pd.testing.assert_frame_equal(load(out), whole, check_exact=True)
    assert len(read_json(RunPaths.at(out).sweep)["sessions"]) == sessions
    assert RunPaths.at(out).summary.exists()
    assert (RunPaths.at(out).figures / "curves.png").exists()
    left = {path.name for path in out.rglob("*") if path.name.endswith(".tmp")}
    assert not left and not list(out.rglob("progress.json"))


def test_three_shards_at_once(tmp_path, cache, whole):
    out = tmp_path / "run"
    ended = finish([command(out, cache, f"--shard={i}/3") for i in range(3)])
    assert [done.returncode for done in ended] == [0, 0, 0], ended
    check(out, whole, sessions=3)
    assert any("final test_accuracy" in done.stdout for done in ended)


def test_two_commands_at_once_share_the_cells(tmp_path, cache, whole):
    out = tmp_path / "run"
    ended = finish([command(out, cache)] * 2)
    assert [done.returncode for done in ended] == [0, 0], ended
    check(out, whole, sessions=2)
    own = [set(re.findall(r"(.*): done \(", done.stderr)) for done in ended]
    assert all(own) and len(own[0]) + len(own[1]) == CELLS == len(own[0] | own[1])
    said = [re.findall(r".*: skipped: another process", done.stderr) for done in ended]
    assert any(said)


def test_a_node_lost_on_a_cluster_of_two(tmp_path, cache, whole):
    out, script = tmp_path / "run", tmp_path / "two_nodes.py"
    script.write_text(TWO_NODES)
    line = [sys.executable, str(script), DRIVER, *words(out, cache)]
    (done,) = finish([line])
    told = json.loads((out / "told.json").read_text())
    assert told["status"] == 0, done.stderr
    assert told["before"].count("running") == 2, done.stderr
    assert told["before"].count("complete") < CELLS - 2
    (out / "told.json").unlink()
    check(out, whole, sessions=1)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_stopped_has_its_cells_save(signum, tmp_path, cache):
    """By default checkpoints are a minute apart: what is there was saved at the end."""
    out = tmp_path / "run"
    line = [*words(out, cache), "--checkpoint_seconds=1000", "--engine=ray"]
    line += ["--steps=100000", "--cell_cpus=2", "--eval_every=50000"]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, *line],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while not list(out.glob("cells/*/progress.json")):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(20)  # it trains
        process.send_signal(signum)
        said = process.stderr.read()
    assert process.returncode == 128 + signum, said
    name = signal.Signals(signum).name
    wanted = (
        f"normlab.sweep: stopped by {name}. Run the same command again to continue."
    )
    assert said.splitlines()[-1] == wanted, said
    states = [cell.state for cell in run_status(RunPaths.at(out))]
    assert states.count("interrupted") == 1 and states.count("waiting") == CELLS - 1
    assert max(cell.step for cell in run_status(RunPaths.at(out))) > 0
