"""The package and the commands that docs/own_network.md prints."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/own_network.md"
_FILE = re.compile(
    r"^`([\w/.]+)`[^\n]*:\n\n```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE
)
_COMMAND = re.compile(r"^python -m (normlab\.\w+ .+)$", re.MULTILINE)
NAMES = {
    "model": "my_project.models:ViT",
    "norm": "my_project.norms:RMSNorm",
    "dataset": "my_project.data:stripes",
    "optimizer": "my_project.optimizers:sign_momentum",
    "quantities": "my_project.quantities:gradient_share",
}


def write_package(folder: Path) -> None:
    """The package and the flagfile, as printed."""
    files = dict(_FILE.findall(PAGE.read_text(encoding="utf-8")))
    assert len(files) == 7
    for name, text in {**files, "my_project/__init__.py": ""}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def data_code() -> str:
    """The Python of "Your own data"."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Your own data\n")[1]
    section = section.split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL))


def commands() -> list[list[str]]:
    """The words of the commands on the page, after ``python -m``."""
    found = _COMMAND.findall(PAGE.read_text(encoding="utf-8"))
    assert len(found) == 6
    return [command.split() for command in found]
