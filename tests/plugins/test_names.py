"""Names of plugins: what is imported, what is refused, and what messages say."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from normlab import plugins
from normlab.cell import norm_label
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.models import MODELS
from normlab.norms import NORMS
from normlab.page import document
from normlab.registry import Registry
from normlab.store import load, provenance
from normlab.store.layout import RunPaths
from normlab.store.provenance import check_names
from normlab.store.run import open_run
from tests.cells import cell_config
from tests.faults.commands import call, commands
from tests.page.bare import no_figures
from tests.plugins import printed
from tests.store.handmade import make_cell, write_run

COMMANDS = commands()
READERS = {
    "normlab.figures": ["--figures=curves"],
    "normlab.page": ["--out={out}"],
    "normlab.claims": [],
    "normlab.store": ["--out={out}"],
    "normlab.tensorboard": [],
}
IMPORTERS = {
    "normlab.analysis": ["--quantities=gradient_norm"],
    "normlab.landscape": ["--kind=line"],
}
KINDS = ("norm", "model", "dataset", "optimizer")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is allowed that the test does not allow."""
    monkeypatch.setattr(plugins, "_names", set())
    monkeypatch.setattr(plugins, "_modules", set())
    monkeypatch.setattr(provenance, "_said", set())


@pytest.fixture
def trap(tmp_path, monkeypatch) -> Iterator[Path]:
    """The file that a module called ``trap`` writes when it is imported."""
    sprung = tmp_path / "sprung"
    (tmp_path / "path").mkdir()
    source = f"open({str(sprung)!r}, 'w').close()\ndef attribute(x): return x\n"
    (tmp_path / "path/trap.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "path")
    yield sprung
    sys.modules.pop("trap", None)


def trapped_run(folder: Path, settings) -> RunPaths:
    cell = make_cell((1e-3,), seeds=2, **dict.fromkeys(settings, "trap:attribute"))
    return write_run(folder, [cell])


@pytest.mark.parametrize("name", READERS)
def test_tables_of_someone_elses_run_import_nothing(trap, tmp_path, monkeypatch, name):
    paths = trapped_run(tmp_path / "run", KINDS)
    no_figures(monkeypatch)
    monkeypatch.setattr(document, "ledger", lambda runs: [])
    words = [w.format(out=tmp_path / "out") for w in READERS[name]]
    ended = call(name, COMMANDS[name], [f"--run={paths.root}", *words])
    assert ended.status == 0, ended.err
    assert not trap.exists()


@pytest.mark.parametrize("setting", KINDS)
def test_measuring_someone_elses_run_imports_nothing(trap, tmp_path, setting):
    paths = trapped_run(tmp_path / "run", [setting])
    for name, words in IMPORTERS.items():
        ended = call(name, COMMANDS[name], [f"--run={paths.root}", *words])
        assert ended.status == 1 and f"{name}: error: " in ended.err
        assert "Traceback" not in ended.err
        # It would have; but measuring needs no optimizer.
        if name == "normlab.analysis" and setting != "optimizer":
            assert f"--{setting}=trap:attribute: the run wants to import" in ended.err
    assert not trap.exists()


def test_a_stored_norm_names_what_to_allow(trap, tmp_path):
    says = "wants to import the module trap, .* add --allow=trap"
    with pytest.raises(UserError, match=says):
        NORMS["trap:attribute"]
    assert not trap.exists()
    plugins.allow(modules=["trap"])
    assert NORMS["trap:attribute"].blocks is None
    assert trap.exists() and "trap:attribute" not in NORMS


@pytest.mark.parametrize(
    "name, allowed",
    [
        ({"names": ["a.b:c"]}, ["a.b:c"]),
        ({"modules": ["a.b"]}, ["a.b:c", "a.b:d", "a.b.x:c"]),
        ({"modules": ["a"]}, ["a.b:c", "a.b:d", "a.b.x:c", "a.y:z"]),
        ({"names": ["a"]}, []),
        ({}, []),
    ],
)
def test_what_is_allowed(name, allowed):
    plugins.allow(**name)
    every = ["a.b:c", "a.b:d", "a.b.x:c", "a.y:z", "ab:c"]
    found = []
    for one in every:
        with pytest.raises(UserError) as caught:
            plugins.load("model", one)
        if "there is no module" in str(caught.value):  # it was looked for
            found.append(one)
        else:
            assert "--allow=" in str(caught.value)
    assert found == allowed


@pytest.mark.parametrize(
    "name, loads",
    {
        "flax.linen:RMSNorm": True,
        "flax.linen:module.os.system": False,
        "flax.linen:_private": False,
        "flax.training.train_state:TrainState": False,
        "flax:linen": False,
    }.items(),
)
def test_a_stored_name_may_be_a_layer_of_flax_alone(name, loads):
    if loads:
        assert plugins.load("norm", name) is not None
    else:
        with pytest.raises(UserError, match="add --allow=flax"):
            plugins.load("norm", name)


def test_the_flag_itself_allows_it_and_no_other(tmp_path, trap):
    words = ["--norm=trap:other", "--steps=1", f"--out={tmp_path / 'run'}"]
    ended = call("normlab.sweep", COMMANDS["normlab.sweep"], words)
    assert ended.status == 1
    assert "--norm=trap:other: trap has no other; it has attribute" in ended.err
    assert trap.exists()
    with pytest.raises(UserError, match="--allow=trap"):
        MODELS["trap:attribute"]


def test_a_module_that_fails_is_one_line_with_the_place(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("x = 1\nx = x / 0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["--norm=broken:f", "--steps=1", f"--out={tmp_path / 'run'}"]
    ended = call("normlab.sweep", COMMANDS["normlab.sweep"], words)
    line = "--norm=broken:f: cannot import broken: ZeroDivisionError: division by zero"
    assert ended.err == f"normlab.sweep: error: {line} (broken.py:2)\n"
    ended = call("normlab.sweep", COMMANDS["normlab.sweep"], [*words, "--verbose"])
    assert "Traceback" in ended.err and ended.err.endswith(f"{line} (broken.py:2)\n")


@pytest.mark.parametrize(
    "text, said",
    [
        ("nowhere.at.all:f", "there is no module nowhere in the working directory"),
        ("json.nowhere:f", "there is no module json.nowhere"),
        ("json:dump_", "json has no dump_; it has dump"),
        ("json:", "a plugin is named module.path:attribute"),
        ("../json:dump", "a plugin is named module.path:attribute"),
        ("nowhere", "unknown; known: none, batch"),
    ],
)
def test_names_that_are_none(text, said):
    plugins.allow([text])
    with pytest.raises(UserError, match=said):
        NORMS[text]


def test_short_names_are_safe_and_own_names_unchanged():
    assert plugins.short("my.models:ViT") == "ViT"
    assert plugins.short("my.models:Nets.ViT") == "ViT"
    assert plugins.short("npz:../a b/eggs.v2.npz") == "eggs_v2"
    assert plugins.short("tfds:mnist:3.0.1") == "mnist_3_0_1"
    assert plugins.short("batch_lp") == "batch_lp"
    mine, other = (
        cell_config(model=f"{m}.models:ViT", norm="my.norms:RMS") for m in ("my", "her")
    )
    assert mine.id.startswith("digits-ViT-RMS-b10-") and mine.id != other.id
    assert mine.label == norm_label("my.norms:RMS", None) == "RMS"


def test_an_own_entry_wins_over_an_entry_point():
    with mock.patch.object(plugins, "load") as loads:
        registry = Registry("made_up", {"a": 1}, lambda found, name: found)
        assert registry["a"] == 1 and not loads.called
        loads.return_value = plugins.Plugin("b", 2, {"module": "m"})
        assert registry["b"] == 2 and registry.sources == {"b": {"module": "m"}}
        assert "b" not in registry and registry.get("b") is None
        registry["b"]
        assert loads.call_count == 1


def test_a_changed_source_is_not_mixed_with_the_old_one(tmp_path, monkeypatch, caplog):
    printed.write_package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    file, name = tmp_path / "my_project/norms.py", printed.NAMES["norm"]
    plugins.allow([name])
    config = SweepConfig(norm=("none", name), steps=1)
    session = {"started": "now"}

    def begin(session=session) -> None:
        """As in a process of its own, which has imported nothing."""
        for module in [m for m in sys.modules if m.startswith("my_project")]:
            del sys.modules[module]
        monkeypatch.setattr(NORMS, "_adopted", {})
        monkeypatch.setattr(NORMS, "sources", {})
        importlib.invalidate_caches()
        check_names(config)
        open_run(RunPaths.at(tmp_path / "run"), config, (), [], session)

    begin()
    begin()
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "# more\n", encoding="utf-8")
    changed = (
        f"--norm={name} is not as it was: its file changed since the run was begun"
    )
    with pytest.raises(UserError, match=changed):
        begin()
    begin(None)  # there is nothing left to run
    begin(None)
    assert caplog.messages == [changed]
    file.write_text(text, encoding="utf-8")
    begin()
    (tmp_path / "my_project/more.py").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="another file of the package my_project chang"):
        begin()
    for module in [m for m in sys.modules if m.startswith("my_project")]:
        del sys.modules[module]


def test_tables_of_a_run_with_plugins_need_none(tmp_path):
    """Its quantities have file names without a colon, and their axes."""
    import numpy as np

    from normlab.store.load import load_quantity, measured
    from normlab.store.quantities import to_table, write_analysis
    from normlab.tensorboard.series import series_of

    cell = make_cell((1e-3,), seeds=2, norm="gone.norms:RMS")
    paths: RunPaths = write_run(tmp_path / "run", [cell])
    fields = {"size": np.ones((2, 2), np.float32)}
    table = to_table(0, fields, ("eta",), {"eta": (0.5, 1.0)})
    write_analysis(paths.cell(cell.id), "gone:sizes", table, {})
    assert [f.name for f in paths.cell(cell.id).analysis.iterdir()] == [
        "gone@sizes.parquet"
    ]
    assert measured(paths.root) == ("gone:sizes",)
    assert set(load(paths.root)["label"]) == {"RMS"}
    assert len(load_quantity(paths.root, "gone:sizes")) == 4
    tags = {s.tag for s in series_of(paths.cell(cell.id))[0]}
    assert {t for t in tags if "gone" in t} == {
        "gone:sizes/size/eta_0.5",
        "gone:sizes/size/eta_1",
    }
