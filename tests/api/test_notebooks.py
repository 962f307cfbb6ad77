"""docs/notebooks: stored with the outputs of their code; and they run, with bars."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import normlab
from tests.api.notebooks import FOLDER, NOTEBOOKS, digest, kept, run

NAMES = [path.stem for path in NOTEBOOKS]
# What a notebook needs of the package, beside `normlab.run`.
NEEDS = {
    "first_sweep": "run",
    "your_own_loop": "probe",
    "your_own_network": "plugins",
}
FIGURE = '.figure("'


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_there_are_three():
    if FOLDER.parents[1].joinpath("pyproject.toml").exists():
        assert NAMES == ["first_sweep", "your_own_loop", "your_own_network"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_they_are_stored_with_the_outputs_of_their_code(path):
    """If this fails: python -m tests.api.notebooks."""
    assert len(cells(path)) >= 3 and len(cells(path, "markdown")) >= 2
    for cell in cells(path):
        source = "".join(cell["source"])
        compile(source.replace("%%writefile", "#"), path.name, "exec")
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert notebook["metadata"]["normlab"]["sources"] == digest(notebook)
    outputs = [output for cell in cells(path) for output in cell["outputs"]]
    assert len(shown(outputs, "image/png")) == figures(path) > 0
    assert [kept(output) for output in outputs] == outputs
    assert not any(output["output_type"] == "error" for output in outputs)
    assert not re.search(r"/(home|root|tmp|Users)/", text) and len(text) < 300_000


def test_only_other_code_has_another_digest():
    def of(text: str, code: str) -> str:
        sources = {"markdown": [text], "code": [code]}
        made = [{"cell_type": kind, "source": x} for kind, x in sources.items()]
        return digest({"cells": made})

    assert of("title", "1 + 1") == of("another", "1 + 1") != of("title", "1 + 2")


def figures(path: Path) -> int:
    """How many figures the code of a notebook draws."""
    return sum(FIGURE in "".join(cell["source"]) for cell in cells(path))


def executed(path: Path, folder: Path, monkeypatch) -> list[dict[str, Any]]:
    """The outputs of a notebook that is run in ``folder``, in order."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    monkeypatch.setenv("NORMLAB_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # as in a notebook
    notebook = run(path, folder)
    codes = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [output for cell in codes for output in cell.outputs]


def shown(outputs: list[dict[str, Any]], kind: str) -> list[Any]:
    found = (output.get("data", {}) for output in outputs)
    return [data[kind] for data in found if kind in data]


def printed(outputs: list[dict[str, Any]], name: str) -> str:
    return "".join(output["text"] for output in outputs if output.get("name") == name)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Jupyter's own
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_they_run(path, tmp_path, monkeypatch):
    needed = f"normlab.{NEEDS[path.stem]}"
    if not (hasattr(normlab, NEEDS[path.stem]) or importlib.util.find_spec(needed)):
        pytest.skip(f"there is no {needed}")
    pytest.importorskip("ipywidgets")
    outputs = executed(path, tmp_path, monkeypatch)
    assert len(shown(outputs, "image/png")) == figures(path)
    assert printed(outputs, "stderr") == ""
    bars = shown(outputs, "application/vnd.jupyter.widget-view+json")
    said = printed(outputs, "stdout")
    assert len(bars) == said.count("\nout: ")  # one for each sweep that trains
    if path.stem == "first_sweep":
        assert len(bars) == 2 and "complete: nothing is left to run" in said


# An interrupt, and then two at once, by which a kernel could end.
INTERRUPTED = """
import os, signal
import normlab

def interrupt(rows):
    if rows.step[0] == {step}:
        for _ in range({times}):
            os.kill(os.getpid(), signal.SIGINT)

normlab.run(norm="none", lr=0.1, num_seeds=1, train_size=40, batch_size=10, steps=40,
            eval_every=10, out="runs/a", on_eval=interrupt, devices=1)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_an_interrupt_does_not_end_the_kernel(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook()
    once, twice = ((10, 1), (20, 2))
    sources = [INTERRUPTED.format(step=step, times=n) for step, n in (once, twice)]
    sources += ["normlab.read_run('runs/a')", INTERRUPTED.format(step=50, times=0)]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    for cell in notebook.cells[:2]:
        cell.metadata["tags"] = ["raises-exception"]
    nbformat.write(notebook, tmp_path / "interrupted.ipynb")
    outputs = executed(tmp_path / "interrupted.ipynb", tmp_path, monkeypatch)
    errors = [x for x in outputs if x["output_type"] == "error"]
    assert [x["ename"] for x in errors] == ["KeyboardInterrupt"] * 2
    stops = [f"stopped by SIGINT at step {step} of none" for step in (11, 21)]
    assert [x["evalue"] for x in errors] == stops
    said = printed(outputs, "stdout")
    for words in ("continues from step 11 of 40", "continues from step 21 of", "done"):
        assert f"none: {words}" in said
