"""The page's package in this process: a sweep of a few steps, measured and drawn."""

import sys

import numpy as np
import pytest

from normlab import data, plugins
from normlab.registry import REGISTRIES
from normlab.store import RunPaths, load
from normlab.store.layout import read_json
from normlab.store.load import begun_cells
from normlab.store.run import read_cell
from tests.faults.commands import call, commands
from tests.plugins import printed

COMMANDS = commands()


@pytest.fixture(autouse=True)
def forget(monkeypatch, tmp_path):
    """Nothing is allowed or imported that the test does not name."""
    monkeypatch.setattr(plugins, "_names", set())
    monkeypatch.setattr(plugins, "_modules", set())
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_adopted", {})
        monkeypatch.setattr(registry, "sources", {})
    printed.write_package(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [m for m in sys.modules if m.startswith("my_project")]:
        del sys.modules[name]


# A transformer takes long to compile.
SMALL = """
from typing import Any
import flax.linen as nn

class ViT(nn.Module):
    classes: int
    norm: Any

    @nn.compact
    def __call__(self, x):
        x = self.norm("norm")(nn.Dense(4, name="in")(x.mean(1)))
        return nn.Dense(self.classes, name="out")(x.mean(1))
"""


def run(name: str, *words: str) -> str:
    ended = call(name, COMMANDS[name], words)
    assert ended.status == 0, ended.err
    return ended.out + ended.err


def test_a_sweep_and_what_reads_it(tmp_path):
    names = printed.NAMES
    (tmp_path / "my_project/models.py").write_text(SMALL, encoding="utf-8")
    flags = [f"--{setting}={name}" for setting, name in names.items()]
    small = ["--lr=1e-2", "--num_seeds=1", "--steps=2", "--eval_every=2"]
    more = ["--path_every=1", "--init=standard", "--devices=1", "--out=run"]
    sweep = ["normlab.sweep", *flags, *small, "--train_size=20", *more]
    run(*sweep, "--batch_size=5")
    paths = RunPaths.at("run")
    (cell,) = begun_cells(paths)
    assert cell.root.name.startswith("stripes-ViT-RMSNorm-b5-")
    for record in (read_json(paths.sweep), read_json(cell.config)):
        sources = record["plugins"]
        assert {k: [*v] for k, v in sources.items()} == {
            k: [v] for k, v in names.items()
        }
        model = sources["model"][names["model"]]
        assert model["module"] == "my_project.models" and model["package_files"] == 6
        assert len(sources["dataset"][names["dataset"]]["arrays"]) == 64
    assert read_cell(cell).config.model == names["model"]
    assert set(load("run")["label"]) == {"RMSNorm"}
    allow = ["--run=run", "--allow=my_project", "--devices=1"]
    run("normlab.analysis", *allow, f"--quantities={names['quantities']}", "--every=2")
    said = run(*sweep, "--batch_size=5")
    assert "complete: nothing is left to run" in said


def test_the_data():
    found: dict = {}
    exec(printed.data_code(), found)
    dataset = data.load("npz:my_data.npz")
    assert dataset.train_x.shape == (500, 16, 16, 1) and len(dataset.test_y) == 100
    assert dataset.classes == ("cat", "dog", "bird")
    items = [(np.zeros((3, 8, 6)), np.int64(i)) for i in range(2)]  # like tensors
    images, labels = found["arrays"](items)
    assert images.shape == (2, 8, 6, 3) and labels.tolist() == [0, 1]
