"""The forms of the convolution, timed: what is timed, and what is said of it."""

import json

import pytest
from absl import flags

from normlab.bench.conv import __main__ as command
from normlab.bench.conv import shapes
from normlab.bench.conv.shapes import FORMS, SHAPES, Shape, make_loop
from normlab.flags import define, run

TINY = Shape(size=4, inputs=23, outputs=2)  # wide enough for the direct form


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(SHAPES, "tiny", TINY)


def call(*words: str) -> int:
    values = flags.FlagValues()
    define(command.ConvConfig, values)
    with pytest.raises(SystemExit) as stop:
        run(command.main, values, program=command.PROGRAM, doc="", argv=words)
    return int(stop.value.code or 0)


def test_gflop_counted_by_hand():
    # 50 images, 16x16 positions, 144 numbers into each of 32 outputs; three products.
    assert SHAPES["report conv2"].gflop(50) == 3 * 2 * 50 * 256 * 144 * 32 / 1e9


@pytest.mark.parametrize("members", [1, 2])
def test_every_form_does_the_same_work(members):
    kernels = {form: make_loop(form, TINY, 3, members)(4) for form in FORMS}
    reference = kernels.pop("lax")
    for found in kernels.values():
        assert found.shape == reference.shape
        assert abs(found - reference).max() < 1e-6


def test_a_loop_feeds_each_turn_from_the_products_of_the_one_before():
    """So that no turn, and no gradient, can be left out."""
    loop = make_loop("patches", TINY, 3, 1)
    assert abs(loop(1) - loop(5)).max() > 0


@pytest.mark.slow
def test_the_numbers_are_printed_and_written(tmp_path, capsys):
    out = tmp_path / "conv.json"
    words = ["--shape=tiny", "--form=patches,direct", "--members=1,2", "--repeats=2"]
    assert call(*words, "--batch_size=3", f"--out={out}") == 0
    printed = capsys.readouterr().out
    assert printed.count("patches") == printed.count("direct") == 2
    record = json.loads(out.read_text())
    assert [point["members"] for point in record["results"]] == [1, 2]
    for point in record["results"]:
        assert {len(ms) for ms in point["ms"].values()} == {2}
        assert all(value > 0 for ms in point["ms"].values() for value in ms)


def test_a_slow_form_is_timed_once(monkeypatch):
    monkeypatch.setattr(command, "_SLOW_SECONDS", 0.0)
    turns = []
    monkeypatch.setattr(command, "seconds", lambda loop, n: turns.append(n) or 0.5)
    config = command.ConvConfig(form=("patches",), batch_size=3, repeats=3)
    times = command.measure(config, "tiny", 1)
    assert turns == [1]
    assert times == {"patches": [500.0]}
    assert shapes.seconds(lambda count: None, 2) >= 0


@pytest.mark.parametrize(
    "word, message",
    [
        ("--form=winograd", "unknown; known: patches, direct, pallas, lax"),
        ("--shape=lenet", "unknown; known: all, report conv1"),
        ("--members=0", "must be 1 or more"),
        ("--turns=0", "must be 1 or more"),
        ("--out=table.csv", "must end in .json"),
    ],
)
def test_mistakes_are_one_line(word, message, capsys):
    assert call(word) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
