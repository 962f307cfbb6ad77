"""``python -m normlab.bench``: what it prints and writes, and every mistake."""

import json

import pandas as pd
import pytest
from absl import flags

from normlab.bench import __main__ as command
from normlab.bench.machine import Machine
from normlab.bench.peers import PEERS, Peer
from normlab.bench.settings import BenchConfig
from normlab.flags import define, run


def call(words: list[str]) -> int:
    values = flags.FlagValues()
    define(BenchConfig, values)
    with pytest.raises(SystemExit) as stop:
        run(command.main, values, program=command.PROGRAM, doc="", argv=words)
    return int(stop.value.code or 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    machine = Machine("a machine, 2 cores", 100.0, 10.0)
    monkeypatch.setattr(command, "measure_machine", lambda precision: machine)
    monkeypatch.setitem(PEERS, "absent", Peer(lambda: "it is Tuesday", {}))


@pytest.mark.slow
def test_a_benchmark(tmp_path, capsys):
    out = tmp_path / "new" / "bench.json"
    words = ["--dataset=digits", "--norm=none", "--batch_size=5,10", "--members=1"]
    words += ["--steps=3", "--repeats=2", "--peers=absent", "--devices=1"]
    assert call([*words, f"--out={out}"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for text in (
        "a machine, 2 cores: 100 GFLOP/s",
        "digits, norm none, batch 5, 1 member: 2 runs of 3 steps",
        "digits, norm none, batch 10, 1 member: 2 runs of 3 steps",
        "normlab (map)",
        "left out: absent: it is Tuesday",
        "data path",
        f"written: {out}",
    ):
        assert text in shown.out
    record = json.loads(out.read_text())
    stamped = {"config", "versions", "device", "revision", "torch", "started"}
    assert stamped <= set(record)
    assert record["machine"]["matmul_gflops"] == 100.0
    assert record["config"]["batch_size"] == [5, 10]
    assert [found["batch_size"] for found in record["results"]] == [5, 10]
    for found in record["results"]:
        assert found["left_out"] == {"absent": "it is Tuesday"}
        (row,) = found["rows"]
        assert row["contender"] == "normlab (map)" and len(row["ms"]) == 2
    names = sorted(path.name for path in out.parent.iterdir())
    assert names == ["bench.csv", "bench.json", "bench.pdf", "bench.png"]
    table = pd.read_csv(out.with_suffix(".csv"))
    medians = [found["rows"][0]["median"] for found in record["results"]]
    assert table["median"].tolist() == pytest.approx(medians)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--peers=lua"], ["--peers=lua", "flax_vmap"]),
        (["--steps=0"], ["--steps=0", "1 or more"]),
        (["--members=8,0"], ["--members=0", "1 or more"]),
        (["--batch_size=5,5"], ["--batch_size", "5 twice"]),
        (["--execution=warp"], ["--execution=warp", "vmap"]),
        (["--devices=0"], ["--devices=0", "positive"]),
        (["--precision=float16"], ["--precision=float16", "float32, tf32"]),
        (["--tolerance=0"], ["--tolerance=0", "above 0"]),
        (["--out=bench.txt"], ["bench.txt", ".json"]),
        (["--out=/proc/bench/x.json"], ["/proc/bench/x.json"]),
        (["--norm=weight"], ["weight", "group"]),
        (["--batch_size=5000"], ["5000", "digits"]),
        (["--dataset=svhn"], ["svhn", "cifar10"]),
    ],
)
def test_a_mistake_is_one_line(words, said, capsys):
    assert call(["--dataset=digits", "--peers=none", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("normlab.bench: error: ") and error.count("\n") == 1
    for word in said:
        assert word in error
