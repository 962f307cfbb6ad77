"""Small files, and a project file that says what it needs."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import normlab

PACKAGE = Path(normlab.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 300

needs_checkout = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="normlab is not run from a checkout"
)


SOURCES = {
    str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in FILES
}


def test_files_are_short():
    lines = {name: len(source.splitlines()) for name, source in SOURCES.items()}
    assert len(lines) > 100
    assert {name: n for name, n in lines.items() if n > MOST_LINES} == {}


def test_files_say_what_they_are():
    assert [name for name, text in SOURCES.items() if text[:3] != '"""'] == []


def without_encoding(source: str) -> list[int]:
    """Lines that read or write text in whatever encoding the system has."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        words = {word.arg: ast.unparse(word.value) for word in node.keywords}
        called, values = ast.unparse(node.func), [*map(ast.unparse, node.args)]
        binary = any(
            re.fullmatch(r"'\w*b\w*\+?'", v) for v in [*values, *words.values()]
        )
        text = (
            re.search(r"(\.write_text|\.read_text)$", called)
            or re.search(r"^open$|\bpath\.open$", called)
            and not binary
            or words.get("text") == "True"
        )
        if text and not ("encoding" in words or "'utf-8'" in values):
            found.append(node.lineno)
    return found


def test_text_is_in_utf_8():
    wrong = {name: without_encoding(source) for name, source in SOURCES.items()}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("path.read_text()", True),
        ("(a / b).write_text(text)", True),
        ("open(path)", True),
        ("open(path, 'w', newline='')", True),
        ("path.open(mode='a')", True),
        ("subprocess.run(words, text=True)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.read_text('utf-8', errors='replace')", False),
        ("path.write_text(text, encoding='utf-8')", False),
        ("write_text(path, text)", False),  # `normlab.store.layout`'s
        ("open(path, 'rb')", False),
        ("path.open(mode='wb')", False),
        ("os.open(path, os.O_RDONLY)", False),
        ("subprocess.run(words, encoding='utf-8')", False),
    ],
)
def test_text_in_another_encoding_is_found(source, wrong):
    assert bool(without_encoding(source)) == wrong


def project() -> dict:
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]


def requirement_name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@needs_checkout
def test_versions_are_those_of_the_package():
    assert project()["version"] == normlab.__version__
    assert project()["requires-python"] == ">=3.11"


@needs_checkout
def test_every_third_party_import_is_a_dependency():
    names = {requirement_name(line) for line in project()["dependencies"]}
    extras = {
        requirement_name(line)
        for lines in project()["optional-dependencies"].values()
        for line in lines
    }
    called = {
        "absl": "absl-py",
        "orbax": "orbax-checkpoint",
        "PIL": "pillow",
        "sklearn": "scikit-learn",
        "tensorboardX": "tensorboardx",
        "tensorflow_datasets": "tensorflow-datasets",
        "array_record": "array-record",
        "importlib_resources": "importlib-resources",
    }
    pattern = re.compile(r"^\s*(?:import|from) ([A-Za-z_0-9]+)", re.MULTILINE)
    for path, source in SOURCES.items():
        for name in pattern.findall(_code(source)):
            if name in _standard() or name == "normlab":
                continue
            package = called.get(name, name)
            assert package in names | extras, (path, name)


def _code(source: str) -> str:
    """The source without its docstrings, in which prose may begin with "from"."""
    return re.sub(r'""".*?"""', "", source, flags=re.DOTALL)


def _standard() -> frozenset[str]:
    import sys

    return sys.stdlib_module_names


@needs_checkout
def test_constraints_pin_versions_and_name_no_host():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines]
    pins = [line for line in pins if line]
    assert len(pins) >= 10
    for line in pins:
        assert "://" not in line and "@" not in line and not line.startswith("-"), line
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.!+-]*(\s*;.*)?", line), line
    pinned = {requirement_name(line) for line in pins}
    assert {requirement_name(line) for line in project()["dependencies"]} <= pinned


def test_a_sweep_starts_without_the_page():
    """Templates and the whole ledger would be imported before anything trains."""
    code = "import sys, normlab.sweep.__main__; print('normlab.page' in sys.modules)"
    words = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "False", done.stderr
