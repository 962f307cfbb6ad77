"""Two whole commands: what they are told, how they are timed, what they learn."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from normlab.bench.torch_script.settings import ScriptConfig
from normlab.bench.whole import __main__ as command
from normlab.bench.whole import race as race_module
from normlab.bench.whole.race import (
    Racer,
    Result,
    WholeConfig,
    race,
    racers,
    timed_command,
)
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.flags import define, read, run
from normlab.run_options import RunOptions
from tests.bench.small import Clock, images

CONFIG = WholeConfig(
    dataset="digits", norm="group", members=3, epochs=1, data_dir="here", repeats=2
)


def parsed(kind, *kinds, words):
    values = flags.FlagValues()
    for each in (kind, *kinds):
        define(each, values)
    values(words)
    return read(kind, values)


def call(words: list[str]) -> int:
    values = flags.FlagValues()
    define(WholeConfig, values)
    with pytest.raises(SystemExit) as stop:
        run(command.main, values, program=command.PROGRAM, doc="", argv=words)
    return int(stop.value.code or 0)


def test_both_commands_ask_for_one_experiment():
    sweep, script = (racer.command(Path("out")) for racer in racers(CONFIG).values())
    assert (sweep[0], script[0]) == ("normlab.sweep", "normlab.bench.torch_script")
    mine = parsed(SweepConfig, RunOptions, words=sweep)
    theirs = parsed(ScriptConfig, words=script)
    assert mine.lr == theirs.lr == (1e-4, 1e-3, 1e-2)
    assert mine.norm == (theirs.norm,) == ("group",)
    assert mine.batch_size == (theirs.batch_size,) == (50,)
    assert mine.epochs == theirs.epochs == 1
    assert mine.dataset == (theirs.dataset,) == ("digits",)
    assert mine.num_seeds == 1 and mine.eval_every == 0
    options = parsed(RunOptions, SweepConfig, words=sweep)
    assert (options.out, theirs.out) == ("out", "out")
    assert options.data_dir == theirs.data_dir == "here"
    assert options.compilation_cache == "none"


def test_learning_rates_survive_the_command_line():
    rates = WholeConfig(members=8).learning_rates
    assert len(set(rates)) == 8 and (rates[0], rates[-1]) == (1e-4, 1e-2)
    assert [float(f"{lr:g}") for lr in rates] == rates


def test_commands_take_turns_in_fresh_folders(monkeypatch):
    clock, calls, said = Clock(), [], []
    monkeypatch.setattr(race_module.time, "perf_counter", clock)

    def complete(words, **options):
        folder = Path(words[-1])
        assert not folder.exists() and folder.parent.is_dir()
        calls.append((words[2], folder))
        clock.now += 10.0 if words[2] == "a" else 4.0
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(race_module.subprocess, "run", complete)
    found = {
        name: Racer(lambda out, name=name: [name, str(out)], lambda out: {1e-3: 0.5})
        for name in ("a", "b")
    }
    results = race(found, 2, said.append)
    assert [name for name, _ in calls] == ["a", "b", "a", "b"]
    assert len({folder for _, folder in calls}) == 4
    assert not any(folder.parent.exists() for _, folder in calls)
    assert results["a"] == Result([10.0, 10.0], {1e-3: 0.5})
    assert results["b"] == Result([4.0, 4.0], {1e-3: 0.5})
    assert said == ["a: 10.0 s", "b: 4.0 s", "a: 10.0 s", "b: 4.0 s"]


def test_a_command_that_fails_is_one_line():
    with pytest.raises(UserError) as raised:
        timed_command(["normlab.no_such_command"])
    message = str(raised.value)
    assert "normlab.no_such_command ended with status 1" in message
    assert "No module named" in message and "\n" not in message


def test_a_command_is_timed():
    assert 0 < timed_command(["calendar"]) < 60


def test_what_is_printed_and_written(tmp_path, capsys, monkeypatch):
    results = {
        "normlab.sweep": Result([2.0, 3.0, 4.0], {1e-3: 0.25, 1e-2: 0.5}),
        "PyTorch script": Result([6.0, 6.0, 6.0], {1e-3: 0.75, 1e-2: 0.125}),
    }
    monkeypatch.setattr(command, "race", lambda found, repeats, say: results)
    monkeypatch.setattr(command, "no_torch", lambda: None)
    out = tmp_path / "new" / "whole.json"
    assert call(["--dataset=digits", f"--out={out}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["normlab.sweep", "2.0", "3.0", "4.0"] in [line.split() for line in lines]
    assert "ratio of the medians: 0.50 (below 1: normlab is faster)" in lines
    assert ["lr", "0.001", "0.250", "0.750"] in [line.split() for line in lines]
    record = json.loads(out.read_text())
    assert record["ratio"] == 0.5
    assert record["results"]["normlab.sweep"]["seconds"] == [2.0, 3.0, 4.0]
    assert record["results"]["PyTorch script"]["accuracies"]["0.01"] == 0.125
    assert {"config", "versions", "machine", "torch"} <= set(record)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--repeats=0"], "--repeats=0"),
        (["--out=times.csv"], ".json"),
        (["--dataset=svhn"], "svhn"),
    ],
)
def test_a_mistake_is_one_line(words, said, capsys, monkeypatch):
    monkeypatch.setattr(command, "no_torch", lambda: None)
    assert call(["--dataset=digits", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("normlab.bench.whole: error: ") and said in error
    assert error.count("\n") == 1


def test_without_pytorch_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert call(["--dataset=digits"]) == 1
    assert "PyTorch is not installed" in capsys.readouterr().err


@pytest.mark.slow
def test_the_race_itself(tmp_path, capsys):
    pytest.importorskip("torch")
    out = tmp_path / "whole.json"
    words = ["--dataset=digits", "--members=2", "--epochs=8", "--repeats=1"]
    assert call([*words, f"--out={out}"]) == 0
    found = json.loads(out.read_text())["results"]
    for result in found.values():
        assert result["seconds"][0] > 0.5
        assert result["accuracies"]["0.01"] > 0.9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"norm": "layer"}, "--norm=layer"),
        ({"epochs": 0}, "--epochs=0"),
        ({"lr": (float("nan"),)}, "--lr=nan"),
        ({"seed": -1}, "--seed=-1"),
    ],
)
def test_mistakes_of_the_script(changes, said):
    with pytest.raises(UserError, match=said):
        ScriptConfig(**changes)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_the_script_trains(norm, tmp_path):
    torch = pytest.importorskip("torch")
    from normlab.bench.torch_script.train import COLUMNS, train_all

    config = ScriptConfig(norm=norm, batch_size=7, lr=(0.0, 3e-3), epochs=4)
    train_all(config, images(), tmp_path / "out")
    with open(tmp_path / "out" / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(float(r["lr"]), int(r["epoch"])) for r in rows] == [
        (lr, epoch) for lr in (0.0, 3e-3) for epoch in (1, 2, 3, 4)
    ]
    assert float(rows[-1]["batch_loss"]) < 0.7 * float(rows[4]["batch_loss"])
    if norm != "batch":  # whose running averages are still on their way
        assert float(rows[-1]["test_accuracy"]) > 0.9  # brightness tells the class
        assert rows[0]["test_loss"] == rows[3]["test_loss"]
    saved = torch.load(tmp_path / "out" / "lr_0.003.pt")
    assert saved["epoch"] == 4 and saved["network"]["dense2.weight"].shape == (3, 256)
    untouched = torch.load(tmp_path / "out" / "lr_0.pt")["network"]["conv1.weight"]
    assert not torch.equal(untouched, saved["network"]["conv1.weight"])


def test_the_script_imports_no_jax():
    pytest.importorskip("torch")
    code = (
        "import sys, normlab.bench.torch_script.train\n"
        "from normlab.bench.torch_script import __main__\n"
        "print('jax' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
