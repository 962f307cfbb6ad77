"""A package outside the repository, with normlab installed from its wheel."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import normlab
from tests.plugins import printed

ROOT = Path(normlab.__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "pyproject.toml").exists(), reason="there is no checkout"
    ),
]
_SHORT = {
    "model": "vit",
    "norm": "rms",
    "dataset": "stripes",
    "optimizer": "sign",
    "quantities": "share",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An interpreter that has normlab from a wheel, and its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    copy, wheels = folder / "checkout", folder / "wheels"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "normlab", copy / "normlab", ignore=skip)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    build = f"from setuptools import build_meta as b; b.build_wheel({str(wheels)!r})"
    wheels.mkdir()
    run([sys.executable, "-c", build], copy)
    (wheel,) = wheels.glob("normlab-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    run(
        [python, "-m", "pip", "install", "--no-index", "--no-deps", "-q", wheel], folder
    )
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run([python, "-c", place], folder).strip())
    own = sysconfig.get_path("purelib")
    (packages / "dependencies.pth").write_text(f"{own}\n", encoding="utf-8")
    where = run([python, "-c", "import normlab; print(normlab.__file__)"], folder)
    assert Path(where.strip()).is_relative_to(packages)
    return python


def run(words, cwd: Path, status: int = 0) -> str:
    """The command's output. PYTHONPATH is not set, so nothing leads to the checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment | {"JAX_PLATFORMS": "cpu", "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_the_page_runs_as_printed(python, tmp_path):
    printed.write_package(tmp_path)
    for words in printed.commands():
        run([python, "-m", *words], tmp_path)
    sweep = json.loads((tmp_path / "runs/own/sweep.json").read_text(encoding="utf-8"))
    assert {k: [*v] for k, v in sweep["plugins"].items()} == {
        setting: [name] for setting, name in printed.NAMES.items()
    }
    assert "RMSNorm" in (tmp_path / "page_own/index.html").read_text(encoding="utf-8")
    again = run([python, "-m", *printed.commands()[0]], tmp_path)
    assert "complete: nothing is left to run" in again
    figures = {path.name for path in (tmp_path / "runs/own/figures").glob("*.png")}
    assert {"curves.png", "landscape_line_line.png"} <= figures

    # The same on Ray, to the same numbers. And without the package, for tables.
    ray = ["normlab.sweep", "--flagfile=own.flags", "--engine=ray", "--out=runs/ray"]
    run([python, "-m", *ray], tmp_path)
    of = "runs/{}/summary.csv"
    same = [
        (tmp_path / of.format(name)).read_text(encoding="utf-8")
        for name in ("own", "ray")
    ]
    assert same[0] == same[1]
    (tmp_path / "my_project").rename(tmp_path / "hidden")
    for words in (
        ["normlab.figures", "--run=runs/ray"],
        ["normlab.page", "--run=runs/ray", "--out=page2"],
        ["normlab.claims", "--run=runs/ray"],
        ["normlab.store", "--run=runs/ray", "--out=thin"],
        ["normlab.figures", "--run=thin"],
    ):
        run([python, "-m", *words], tmp_path)


def test_entry_points(python, tmp_path):
    package, work = tmp_path / "package", tmp_path / "work"
    work.mkdir()
    printed.write_package(package)
    info = package / "my_project-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: my_project\nVersion: 1.0\n", encoding="utf-8")
    points = "".join(
        f"[normlab.{setting}]\n{_SHORT[setting]} = {value}\n"
        for setting, value in printed.NAMES.items()
    )
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run([python, "-c", place], work).strip())
    link = packages / "my_project.pth"
    link.write_text(f"{package}\n", encoding="utf-8")
    try:
        flags = [f"--{setting}={name}" for setting, name in _SHORT.items()]
        short = ["--lr=1e-2", "--num_seeds=1", "--steps=4", "--path_every=2"]
        sweep = ["normlab.sweep", *flags, *short, "--out=runs/a"]
        run([python, "-m", *sweep], work)
        # Nothing has to be allowed: the package is installed.
        for words in (
            ["normlab.analysis", "--run=runs/a", "--quantities=loss_range,share"],
            ["normlab.landscape", "--run=runs/a", "--kind=line", "--points=3"],
            ["normlab.figures", "--run=runs/a"],
            ["normlab.page", "--run=runs/a"],
            ["normlab.claims", "--run=runs/a"],
            ["normlab.sweep", *flags, *short, "--out=runs/b", "--engine=ray"],
        ):
            run([python, "-m", *words], work)
    finally:
        link.unlink()
    record = json.loads((work / "runs/a/sweep.json").read_text(encoding="utf-8"))
    assert record["plugins"]["model"]["vit"]["distribution"] == "my_project 1.0"


def test_the_wheel_has_types_and_a_console_command(python, tmp_path):
    files = "import importlib.metadata as m; print(*m.files('normlab'), sep='\\n')"
    assert "normlab/py.typed" in run([python, "-c", files], tmp_path).splitlines()
    script = python.with_name("normlab")
    assert "\n  sweep  " in run([script], tmp_path)
    words = ["data", "--info", f"--data_dir={tmp_path}"]
    by_script = run([script, *words], tmp_path)
    assert by_script == run([python, "-m", "normlab.data", *words[1:]], tmp_path)
    assert "digits: comes with the package" in by_script
