"""docs/figures.md: its commands, its style and its Python run as printed."""

import re
import shlex
from pathlib import Path

import pytest

from normlab.figures import FIGURES
from normlab.figures.__main__ import flag_values, main
from normlab.figures.paper import PaperStyle, style_of
from tests.called import called
from tests.figures import made

TEXT = (Path(__file__).parents[2] / "docs/figures.md").read_text(encoding="utf-8")
PROGRAM = "python -m normlab.figures "


def blocks(kind: str) -> list[str]:
    """The code blocks of a language; "" for commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language == kind]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("documented")
    for name, width in (("a", 1.0), ("b", 2.0)):
        cells = [made.cell(norm, seeds=1, width=width) for norm in ("none", "batch")]
        made.write(folder / "runs" / name, cells, ())
    [style] = blocks("toml")
    (folder / "paper.toml").write_text(style)
    return folder


def commands() -> list[str]:
    lines = [line for block in blocks("") for line in block.splitlines()]
    assert all(line.startswith("python -m normlab.") for line in lines)
    return [line.removeprefix(PROGRAM) for line in lines if line.startswith(PROGRAM)]


def test_there_are_commands():
    assert len(commands()) == 5


@pytest.mark.parametrize("command", commands())
def test_a_command(command, folder, monkeypatch, capsys, quick):
    monkeypatch.chdir(folder)
    assert called(main, flag_values(), shlex.split(command)) == 0
    out, err = capsys.readouterr()
    assert out.startswith("figure: ") and err == ""
    where = "paper/" if "--out=paper" in command else "runs/a/figures/"
    assert where in out and set(re.findall(r"(\w+)\.(?:png|pdf) ", out)) <= set(FIGURES)


def test_the_style(folder):
    style = style_of(folder / "paper.toml")
    assert (style.width, style.font, style.title) == (3.3, "serif", False)
    assert style.matplotlib == {"lines.linewidth": 1.0, "axes.grid": False}
    told = set(re.findall(r"^\| `\[?(\w+)\]?` \|", TEXT, flags=re.MULTILINE))
    assert told == set(PaperStyle.__dataclass_fields__)


def test_the_python(folder, monkeypatch, quick):
    monkeypatch.chdir(folder)
    [code] = blocks("python")
    found: dict = {}
    exec(code, found)
    assert found["figure"] is not found["both"]
    assert (folder / "paper" / "curves.csv").read_text().count("batch, wide")
