"""``python -m normlab.bench.ways``: every way timed, beside the one that auto takes."""

import json
import re

import pytest
from absl import flags

from normlab.bench.images import random_images
from normlab.bench.machine import Machine
from normlab.bench.ways import __main__ as command
from normlab.bench.ways.timed import Timed, make_cell, time_ways
from normlab.flags import define, run
from normlab.run_options import RunOptions
from normlab.train.way import candidates

MS = {"map with direct": [5.0, 4.0, 9.0], "vmap with patches": [4.0, 6.0, 3.0]}
TIMED = Timed("map with direct", "vmap with patches", MS, dict.fromkeys(MS, 1.5), 10**5)


def call(words: list[str]) -> int:
    values = flags.FlagValues()
    define(command.WaysConfig, values)
    with pytest.raises(SystemExit) as stop:
        run(command.main, values, program=command.PROGRAM, doc="", argv=words)
    return int(stop.value.code or 0)


# In 4 ms, two members move 2 x (7 x 400000 + 50 x 3072) bytes with Adam, which are 1.48
# of 10 GB/s. Momentum moves parameters five times.
@pytest.mark.parametrize("optimizer, share", [("adam", 14.8), ("momentum", 10.8)])
def test_what_is_printed_and_written(tmp_path, capsys, monkeypatch, optimizer, share):
    machine = Machine("a machine", 100.0, 10.0)
    monkeypatch.setattr(command, "measure_machine", lambda precision: machine)
    asked = []

    def timed(cell, *_):
        asked.append((cell.config.model, cell.config.precision, len(cell.members)))
        return TIMED

    monkeypatch.setattr(command, "time_ways", timed)
    out = tmp_path / "new" / "ways.json"
    words = ["--model=small_cnn,resnet20", "--precision=tf32", "--members=2,4"]
    assert call([*words, f"--optimizer={optimizer}", f"--out={out}"]) == 0
    assert asked == [(m, "tf32", n) for m in ("small_cnn", "resnet20") for n in (2, 4)]
    shown = capsys.readouterr().out.splitlines()
    (line,) = [x for x in shown[2:6] if "vmap with patches" in x]
    assert "4.000 [3.000, 6.000] ms a step" in line and "500 member-steps/s" in line
    assert f"least bytes {share}% of the bandwidth" in line and line.endswith("auto")
    assert "auto's way takes 1.000 of" in shown[5]
    written = json.loads(out.read_text())
    assert len(written["results"]) == 4 and written["results"][0]["ms"] == MS


def test_the_loss_of_a_wrong_choice_is_seen():
    assert Timed("", "map with direct", MS, {}, 1).loss == 5 / 4


@pytest.mark.parametrize(
    "word",
    [
        *("--members=0", "--repeats=0", "--execution=pmap", "--conv=fast"),
        *("--model=small_cnn,vgg99", "--norm=none,norm9", "--optimizer=best"),
        "--precision=float32,float7",
    ],
)
def test_mistakes_are_told_before_anything_is_timed(word, capsys, monkeypatch):
    def never(*_):
        raise AssertionError("it is timed")

    monkeypatch.setattr(command, "measure_machine", never)
    monkeypatch.setattr(command, "time_ways", never)
    assert call([word]) == 1
    out, err = capsys.readouterr()
    assert re.split("[=,]", word)[-1] in err and err.count("\n") == 1 and not out


@pytest.mark.slow
def test_every_way_is_timed():
    cell = make_cell("small_cnn", "batch", 2, 2, "float32", "adam")
    settings = RunOptions(devices="1", call_steps=2, compilation_cache="none")
    timed = time_ways(cell, random_images(5000), settings, 2, 0.01)
    assert set(timed.ms) == {str(way) for way in candidates("auto", "auto", "cpu")}
    assert all(len(runs) == 2 and min(runs) > 0 for runs in timed.ms.values())
    assert timed.rule == "map with direct" and timed.auto in timed.ms
    assert timed.parameters > 500_000
