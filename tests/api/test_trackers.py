"""The code of docs/python.md, as it is printed, with the trackers' own clients."""

import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import normlab
from tests.api import small

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
# Their own, at import and at exit.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not PAGE.exists(), reason="normlab is not run from a checkout"),
]


def code(heading: str) -> str:
    """The Python under a heading of the page."""
    page = "\n" + PAGE.read_text(encoding="utf-8")
    section = page.split(f"\n{heading}\n")[1]
    found = re.search(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def runs(monkeypatch, tmp_path) -> list["normlab.Run"]:
    """What `normlab.run` returned, which trains only for a moment."""
    monkeypatch.chdir(tmp_path)
    real, made = normlab.run, []

    def run(*, epochs: int, **given: Any) -> "normlab.Run":
        assert epochs == 5
        made.append(real(**small.SETTINGS | given, progress=False))
        return made[-1]

    monkeypatch.setattr(normlab, "run", run, raising=False)
    return made


def evaluated(run: "normlab.Run") -> pd.DataFrame:
    return run.frame[run.frame["test_loss"].notna()]


@pytest.mark.slow  # it draws the page
def test_the_first_code(runs, tmp_path, capsys):
    exec(code("# Sweeps from Python"), {})
    (run,) = runs
    assert (tmp_path / "lr.pdf").read_bytes().startswith(b"%PDF")
    assert (run.path / "page" / "index.html").exists()
    assert "'metric': 'test_accuracy'" in capsys.readouterr().out


def test_mlflow(runs, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    exec(code("### MLflow"), {})
    client = mlflow.MlflowClient()
    (tracked,) = client.search_runs(["0"])
    rows = evaluated(runs[0])
    assert len(tracked.data.metrics) == 8 == len(rows) / 3
    for (norm, lr, seed), curve in rows.groupby(["norm", "lr", "seed"]):
        name = f"{norm}/lr {lr:g}/seed {seed}/test_accuracy"
        points = client.get_metric_history(tracked.info.run_id, name)
        assert [(x.step, x.value) for x in points] == [
            (row.step, pytest.approx(row.test_accuracy)) for row in curve.itertuples()
        ]


def test_optuna(runs, monkeypatch):
    optuna = pytest.importorskip("optuna")
    create = optuna.create_study
    # Every trial that is not the best so far at a step is pruned there.
    pruner = optuna.pruners.PercentilePruner(1.0, n_startup_trials=1)
    monkeypatch.setattr(
        optuna, "create_study", lambda **kw: create(pruner=pruner, **kw)
    )
    namespace: dict[str, Any] = {}
    exec(code("### Optuna").replace("n_trials=20", "n_trials=6"), namespace)
    study = namespace["study"]
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 6 and {"COMPLETE", "PRUNED"} == set(states)
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    for trial, run in zip(complete, runs, strict=True):
        assert trial.params["lr"] == run.frame["lr"].unique().item()
        assert trial.value == run.best()["median"]
        medians = evaluated(run).groupby("step")["test_accuracy"].median()
        assert trial.intermediate_values == dict(medians)
    pruned = next(trial for trial in study.trials if trial.state.name == "PRUNED")
    stopped = normlab.read_run(f"runs/optuna/{pruned.number}")
    assert not stopped.complete or pruned.last_step == 6


def wandb_records(content: bytes) -> Iterator[bytes]:
    """The records of an offline run: LevelDB's log format behind a header."""
    block, header, whole = 32768, 7, b""
    at = header
    while at + header < len(content):
        if block - at % block < header:  # the rest of a block is padding
            at += block - at % block
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + header])
        if at + header + size > len(content):  # it is being written
            return
        whole += content[at + header : at + header + size]
        at += header + size
        if kind in (1, 4):  # whole, or the last piece
            yield whole
            whole = b""


def test_wandb(runs, tmp_path, monkeypatch):
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    exec(code("### Weights & Biases"), {})
    records = []
    deadline = time.monotonic() + 60
    while not any(record.HasField("exit") for record in records):  # written elsewhere
        assert time.monotonic() < deadline
        time.sleep(0.1)
        (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
        contents = wandb_records(file.read_bytes())
        records = [messages.Record.FromString(content) for content in contents]
    logged = []
    for record in records:
        names = [(x.key or x.nested_key[0], x) for x in record.history.item]
        values = {k: float(x.value_json) for k, x in names if not k.startswith("_")}
        logged += [values] if values else []
    rows = evaluated(runs[0])
    assert len(logged) == len(rows) == 24
    for row in rows.itertuples():
        name = f"{row.label}, lr {row.lr:g}, seed {row.seed}/test_accuracy"
        assert {name: pytest.approx(row.test_accuracy), "step": row.step} in logged
