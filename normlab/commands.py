"""The commands of normlab, and how the user called the one that runs."""

import ast
import shlex
import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent
# What comes before a command's name. By default, commands are called as modules.
_prefix = "python -m normlab."


def known() -> dict[str, str]:
    """Command (``sweep``, ``bench.whole``) -> its purpose. Nothing is imported."""
    found = {}
    for path in sorted(_PACKAGE.glob("*/**/__main__.py")):
        name = ".".join(path.relative_to(_PACKAGE).parent.parts)
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[name] = doc.partition("\n\n")[0].replace("\n", " ")
    return found


def call_by(script: str) -> None:
    """From now on, help names the script: ``normlab sweep``."""
    global _prefix
    _prefix = f"{script} "


def as_called(program: str) -> str:
    """How to call the module ``program`` (``normlab.sweep``), as the user did."""
    return _prefix + program.removeprefix("normlab.")


def to_paste(program: str) -> str:
    """As `as_called`, with this interpreter if ``python`` would start another one."""
    words = as_called(program)
    own, found = Path(sys.executable), shutil.which("python")
    if not words.startswith("python ") or (found and Path(found) == own):
        return words
    here = Path.cwd()
    shown = own.relative_to(here) if own.is_relative_to(here) else own
    return f"{shlex.quote(str(shown))} {words.removeprefix('python ')}"
