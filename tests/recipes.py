"""The scripts in docs/own_loop.md, which run here as they are printed."""

import re
from pathlib import Path
from typing import Any

import jax
import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "own_loop.md"
_BLOCK = re.compile(r"<!-- recipe: (\w+) -->\n```python\n(.*?)```", re.DOTALL)


def recipes() -> dict[str, str]:
    """Name -> script."""
    return dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))


def executed(name: str, tmp_path: Path, monkeypatch: Any) -> dict[str, Any]:
    """Runs a script in an empty folder; returns its variables."""
    script = recipes()[name]
    for package in ("equinox", "haiku"):
        if f"import {package}" in script:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    variables: dict[str, Any] = {"__name__": name}
    with jax.numpy_rank_promotion("allow"):  # as a user has it
        exec(compile(script, f"{PAGE}: {name}", "exec"), variables)
    return variables
