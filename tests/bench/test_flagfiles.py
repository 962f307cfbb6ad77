"""The lab notes of the benchmarks ask for what the commands understand."""

from pathlib import Path

import pytest
from absl import flags

import normlab
from normlab.bench.peers import find_peers
from normlab.bench.settings import BenchConfig
from normlab.bench.whole.race import WholeConfig
from normlab.flags import define, read

FOLDER = Path(normlab.__file__).parent.parent / "experiments"
FILES = sorted(FOLDER.glob("bench_*.flags"))

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="normlab is not run from a checkout"
)


def test_they_are_there():
    assert {"bench_cpu.flags", "bench_gpu.flags", "bench_whole.flags"} <= {
        path.name for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_flagfile_is_read_and_says_its_command(path):
    whole = path.stem == "bench_whole"
    kind = WholeConfig if whole else BenchConfig
    values = flags.FlagValues()
    define(kind, values)
    values(["bench", f"--flagfile={path}"])
    config = read(kind, values)
    assert config.dataset == "cifar10" and config.out.endswith(".json")
    if isinstance(config, BenchConfig):
        assert find_peers(config.peers)
    text = path.read_text(encoding="utf-8")
    command = "normlab.bench.whole" if whole else "normlab.bench"
    assert f"python -m {command} --flagfile=experiments/{path.name}" in text
    assert text.startswith("# Question: ") and "see docs/" in text
