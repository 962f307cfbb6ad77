"""The table says what was timed, what was cut short and what was left out."""

from normlab.bench.machine import Machine
from normlab.bench.table import LEGEND, block_text, machine_text
from tests.bench.small import block, row

LINES = block_text(block()).splitlines()


def cells(name: str) -> str:
    (line,) = (line for line in LINES if line.startswith(name) and "[" in line)
    return line


def test_the_heading_names_the_block():
    assert "digits, norm batch, batch 50, 8 members: 3 runs of 50 steps" in LINES[1]
    assert "0.6 GFLOP" in LINES[1] and LINES[1].endswith("normlab on 2 devices")
    assert ", 1 member:" in block_text(block(members=1))


def test_a_line_of_numbers():
    words = cells("fast_peer").split()
    assert words[2:5] == ["4", "[3.5,", "4.5]"]
    assert words[5:] == ["0.50", "4.2", "3", "300", "50.0%", "25.0%", "50"]


def test_unknown_memory_is_a_dash():
    assert cells("slow_peer").split()[6] == "-"


def test_columns_line_up():
    widths = {len(cells(name)) for name in ("normlab", "fast_peer", "slow_peer")}
    assert widths == {len(LINES[2])}


def test_what_was_cut_short_and_left_out_is_said():
    text = "\n".join(LINES)
    assert "slow_peer: much slower than the fastest, so 3 steps per run instead" in text
    assert "left out: absent_peer: it needs a CUDA device" in text
    assert "0.02 ms, 1.0% of normlab's step" in text
    assert "best peer: fast_peer (b), ratio 0.50" in text


def test_nothing_is_said_of_peers_where_there_are_none():
    text = block_text(block(rows=[row()], best_peer=None, ratio_to_best_peer=None))
    assert "best peer" not in text and "much slower" not in text


def test_the_legend_explains_every_column():
    for name in ("time", "ratio", "compile", "memory", "matmul", "moved"):
        assert any(line.startswith(f"{name}: ") for line in LEGEND.splitlines())
        assert name in LINES[2]


def test_the_machine_is_named_with_its_rates():
    text = machine_text(Machine("a machine, 2 cores", 123.4, 56.78))
    assert text.startswith("a machine, 2 cores: 123 GFLOP/s")
    assert "56.8 GB/s" in text
