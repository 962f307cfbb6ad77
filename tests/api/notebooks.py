"""Runs docs/notebooks and stores their outputs in them: python -m tests.api.notebooks.

Do it after a notebook was changed; a test says so. It needs the extra `notebook`.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What a page can show. Progress bars are left out: they need a running kernel.
_SHOWN = ("image/png", "text/html", "text/plain")
_WIDGET = "application/vnd.jupyter.widget-view+json"


def digest(notebook: dict[str, Any]) -> str:
    """Of the sources of the code, which the outputs are of."""
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    text = "\0".join("".join(cell["source"]) for cell in codes)
    return hashlib.sha256(text.encode()).hexdigest()


def kept(output: dict[str, Any]) -> dict[str, Any] | None:
    """An output as it is stored, or None if it is not."""
    data = output.get("data")
    if _WIDGET in (data or ()) or output.get("name") == "stderr":
        return None
    if data is None:
        return output
    return {**output, "data": {k: data[k] for k in _SHOWN if k in data}, "metadata": {}}


def run(path: Path, folder: Path) -> Any:
    """The notebook, run in ``folder``, with all its outputs."""
    import nbclient  # type: ignore
    import nbformat  # type: ignore

    notebook: Any = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    # It raises what a cell raises.
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    return notebook


def store(path: Path) -> None:
    """Runs a notebook and writes it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        ran = run(path, Path(folder))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell, new in zip(notebook["cells"], ran.cells, strict=True):
        if cell["cell_type"] == "code":
            outputs = [found for output in new.outputs if (found := kept(output))]
            cell |= {"outputs": outputs, "execution_count": new.execution_count}
    notebook["metadata"]["normlab"] = {"sources": digest(notebook)}
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    text = text.replace(f"{Path(folder).resolve()}/", "")
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in NOTEBOOKS:
        store(name)
        print(f"stored: {name}")
