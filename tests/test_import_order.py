"""Packages import only from those left of them; the imports are read, not run."""

import ast
from pathlib import Path

import pytest

import normlab

ROOT = Path(normlab.__file__).parent
ORDER = (
    "interrupt",
    "__init__",
    "errors",
    "commands",
    "plugins",
    "registry",
    "settings",
    "metrics",
    "serialize",
    "cell",
    "checks",
    "config",
    "run_options",
    "words",
    "flag_values",
    "flagfiles",
    "usage",
    "flags",
    "members",
    "data",
    "norms",
    "grouping",
    "width",
    "models",
    "quantities",
    "statistics",
    "train",
    "store",
    "sweep",
    "adoption",
    "analysis",
    "landscape",
    "figures",
    "log",
    "tensorboard",
    "claims",
    "page",
    "api",
    "bench",
    "gallery",
)
# Pure parts, further left than their place in the order says.
NEVER = {
    "norms": {"train", "store", "sweep", "config", "data"},
    "grouping": {"train", "store", "sweep", "config"},
    "models": {"train", "store", "sweep", "config", "data"},
    "quantities": {"train", "store", "sweep", "config", "data", "models"},
}
MAINS_ONLY = {"flags"}


def imported(source: str, module: str) -> set[str]:
    """Dotted names of all imports, wherever in the file they stand."""
    found: set[str] = set()
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {stem, *(f"{stem}.{alias.name}" for alias in node.names)}
    return found


def part(name: str) -> str | None:
    """``normlab.store.run`` -> ``store``; None outside normlab."""
    words = name.split(".")
    return words[1] if words[0] == "normlab" and len(words) > 1 else None


def imports(package: str, names: set[str]) -> bool:
    return any(name.split(".")[0] == package for name in names)


def faults(module: str, source: str) -> list[str]:
    """What is wrong with the imports of ``module``, a line each."""
    names = imported(source, module)
    is_main = module.endswith("__main__")
    own = part(module)
    wrong = []
    if imports("absl", names) and not (is_main or own in ("flags", "flag_values")):
        wrong.append(f"{module} imports absl")
    if imports("flax", names) and own == "quantities":
        wrong.append(f"{module} imports flax")
    if is_main:
        return wrong
    if own not in ORDER:
        return [*wrong, f"{own} has no place in the order"]
    others = {part(name) for name in names} - {own}
    for other in (name for name in ORDER if name in others):
        late = ORDER.index(other) > ORDER.index(own)
        if late or other in MAINS_ONLY or other in NEVER.get(own, set()):
            wrong.append(f"{module} imports normlab.{other}")
    return wrong


def modules() -> dict[str, str]:
    """Every module of the package -> its source."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        words = ["normlab", *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        if words[-1] == "__init__":
            name += ".__init__"  # so that "one dot" means the package itself
        found[name] = path.read_text(encoding="utf-8")
    return found


MODULES = modules()


def test_imports_point_left():
    wrong = [
        fault for name, source in MODULES.items() for fault in faults(name, source)
    ]
    assert wrong == []


def test_the_walk_sees_the_package():
    assert {"normlab.config", "normlab.store.run", "normlab.sweep.__main__"} <= set(
        MODULES
    )
    assert "normlab.norms.functional" in MODULES


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("normlab.data.x", "from normlab.train.step import f", "normlab.train"),
        ("normlab.data.x", "from normlab import sweep", "normlab.sweep"),
        ("normlab.data.x", "import normlab.figures.style as s", "normlab.figures"),
        ("normlab.data.x", "from ..store import run", "normlab.store"),
        ("normlab.data.__init__", "from ..store import run", "normlab.store"),
        ("normlab.data.x", "def f():\n    import normlab.store", "normlab.store"),
        ("normlab.data.x", "from normlab.flags import run", "normlab.flags"),
        ("normlab.norms.x", "from normlab.config import SweepConfig", "config"),
        ("normlab.quantities.x", "from normlab.sweep.grid import expand", "sweep"),
        ("normlab.quantities.x", "import flax.linen as nn", "flax"),
        ("normlab.quantities.x", "from flax import linen", "flax"),
        ("normlab.train.x", "from absl import flags", "absl"),
        ("normlab.sweep.__init__", "from absl import logging", "absl"),
        ("normlab.config", "import normlab.store", "normlab.store"),
        ("normlab.newcomer.x", "import os", "newcomer has no place"),
    ],
)
def test_a_violation_is_found(module, source, fault):
    found = faults(module, source)
    assert len(found) == 1 and fault in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("normlab.sweep.__main__", "from absl import flags\nimport normlab.page"),
        ("normlab.flags", "from absl import flags\nfrom normlab import serialize"),
        (
            "normlab.figures.x",
            "from normlab.statistics import finals\nimport flax",
        ),
        ("normlab.store.x", "from . import layout\nfrom .layout import numbered"),
        ("normlab.store.x", "import normlab\nfrom normlab import __version__"),
    ],
)
def test_what_is_allowed_is_not_a_fault(module, source):
    assert faults(module, source) == []


def reach(start: str, sources: dict[str, str]) -> set[str]:
    """All that importing ``start`` imports, through normlab's modules.

    Packages' ``__init__`` files, which Python runs on the way, are left out: they
    are the shells' and not the functions' concern.
    """
    todo, seen, found = [start], set(), set()
    while todo:
        module = todo.pop()
        if module in seen or module not in sources:
            continue
        seen.add(module)
        names = imported(sources[module], module)
        found |= names
        todo += [name for name in names if part(name)]
    return found


@pytest.mark.parametrize("name", ["functional", "lp", "noise"])
def test_the_norms_mathematics_knows_no_flax(name):
    assert f"normlab.norms.{name}" in MODULES
    assert not imports("flax", reach(f"normlab.norms.{name}", MODULES))


def test_flax_in_a_helper_of_the_mathematics_is_found():
    sources = {
        "normlab.norms.functional": "from normlab.norms.blocks import f",
        "normlab.norms.blocks": "import flax.linen",
    }
    assert imports("flax", reach("normlab.norms.functional", sources))
    assert imports("flax", reach("normlab.norms.layers.batch_norm", MODULES))
