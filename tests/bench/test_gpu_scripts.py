"""The scripts of experiments/gpu that measure, as far as a CPU can tell."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from normlab.bench import task
from normlab.bench.images import random_images
from normlab.bench.settings import BenchConfig
from normlab.errors import UserError
from tests.bench import small

FOLDER = Path(__file__).parents[2] / "experiments" / "gpu"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


moved, speed = script("bytes"), script("speed")

# A loop that stores results, and one of two steps, as XLA writes them.
HLO = """\
%store (arg: (s32[], f32[9,9])) -> (s32[], f32[9,9]) {
  %all = f32[9,9]{1,0} get-tuple-element(%arg), index=1
  %a = f32[9,9]{1,0} fusion(%all), metadata={op_name="dynamic_update_index_in_dim"}
  ROOT %b = f32[9,9]{1,0} fusion(%a), metadata={op_name="dynamic_update_index_in_dim"}
}

%step (arg: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %arg = (s32[], f32[8,4]{1,0}) parameter(0)
  %w = f32[8,4]{1,0} get-tuple-element(%arg), index=1
  %low.1 = bf16[8,4]{1,0} fusion(%w), kind=kLoop, metadata={op_name="jit(f)/convert"}
  %two = (f32[8]{0}, /*index=1*/pred[4]{0}) fusion(%low.1, %w), calls=%store
  %sum = f32[8]{0} get-tuple-element(%two), index=0
  ROOT %out = f32[] custom-call(%sum, %outside), custom_call_target="sum"
}

ENTRY %main (x: f32[8,4]) -> f32[8,4] {
  %i = (s32[], f32[8,4]{1,0}) while(%x), condition=%c, body=%step, metadata={}
  %j = (s32[], f32[9,9]{1,0}) while(%x), condition=%c, body=%store, metadata={}
}
"""


def test_bytes_of_a_step():
    """Of each operation the results and what it reads, of the loop with most fusions.

    A matrix has 128 bytes in float32 and 64 in bfloat16.
    """
    assert moved.operations(HLO) == [
        (36 + 64 + 128, "two", ""),
        (64 + 128, "low.1", "jit(f)/convert"),
        (4 + 32, "out", ""),
    ]


def test_bytes_of_a_shape():
    assert moved.bytes_of("(f32[2,3]{1,0}, /*index=1*/u8[5], pred[])") == 24 + 5 + 1
    assert moved.bytes_of("(s64[2], s32[0,7])") == 16
    with pytest.raises(KeyError, match="f8e5m2"):
        moved.bytes_of("(f32[2], f8e5m2[3])")


@pytest.mark.parametrize("word", ["--execution=loop", "--conv=fast"])
def test_a_way_that_bytes_does_not_know_is_an_error(word, capsys):
    with pytest.raises(SystemExit):
        moved.main([word])
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("row", speed.ROWS.values(), ids=speed.ROWS)
def test_a_row_is_a_task_of_the_benchmark(row, monkeypatch):
    """By names that the benchmark and its peers know. Nothing is traced."""
    names = {"model": row.model, "optimizer": row.optimizer, "precision": row.precision}
    BenchConfig(norm=(row.norm,), **names)
    monkeypatch.setattr(task, "Planner", lambda *_: SimpleNamespace(plan=planned))

    def planned(cell):
        return SimpleNamespace(cell=cell)

    made = speed.task_of(row, random_images(200))
    names |= {"norm": row.norm, "batch_size": row.batch_size}
    assert names.items() <= vars(made.config).items()
    assert (len(made.cell.members), made.steps) == (row.members, row.steps)


def test_rates_of_a_block():
    assert speed.rates(small.block()).splitlines() == [
        "  normlab (map)               500 member-steps/s",
        "  fast_peer (b)               250 member-steps/s",
        "  slow_peer                    25 member-steps/s",
    ]


def test_an_unknown_row_is_an_error(capsys):
    with pytest.raises(SystemExit):
        speed.main(["small_cnn", "lenet"])
    assert "lenet: known: small_cnn, " in capsys.readouterr().err


def test_a_row_that_fails_leaves_the_others(monkeypatch, tmp_path, capsys):
    asked, compiled = {}, []

    def task_of(row, _):
        asked[row.precision] = (row.members, row.batch_size, row.steps)
        return SimpleNamespace(plan=SimpleNamespace(way="map"), precision=row.precision)

    def measure_block(one, peers, *_, own, **__):
        assert one.precision in compiled and list(peers) == []
        if one.precision == "float32":
            raise UserError("losses differ")
        return small.block()

    def contender(one):
        return SimpleNamespace(train=lambda steps: compiled.append(one.precision))

    for found in (task_of, measure_block):
        monkeypatch.setattr(speed, found.__name__, found)
    monkeypatch.setattr(speed, "normlab_contender", contender)
    monkeypatch.setattr(speed, "machine", lambda precision: None)
    out = tmp_path / "new"
    speed.main(["float32", "bfloat16", "--small", f"--out={out}"])
    assert asked == dict.fromkeys(("float32", "bfloat16"), (2, 2, 2))
    shown = capsys.readouterr().out
    assert "float32: float32, map\nlosses differ\n" in shown
    assert "500 member-steps/s" in shown
    (written,) = json.loads((out / "speed.json").read_text())["rows"].items()
    assert written[0] == "bfloat16" and written[1]["ratio_to_best_peer"] == 0.5
