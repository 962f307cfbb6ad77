"""Figures of the gallery that are not of `normlab.figures.FIGURES`.

These are landscapes and the benchmark, each with the stored file that it is drawn from.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from normlab.bench.block import Block, Row
from normlab.bench.figure import draw as draw_bench
from normlab.bench.figure import tabulate as tabulate_bench
from normlab.errors import UserError
from normlab.figures import landscape_contour, landscape_line, landscape_surface

# The first of these stored runs that has landscapes is shown.
_RUNS = ("landscape_small_cnn", "gallery_digits")
_MODEL = {"model": "small_cnn"}


def run_at(experiments: Path, run: str) -> Path:
    """The folder of a stored run: in results/, or beside it if it is of no question."""
    beside = experiments / run
    return beside if beside.is_dir() else experiments / "results" / run


def _landscape(name: str) -> Callable[[Path], pd.DataFrame]:
    """Reads the table that ``python -m normlab.landscape`` saves with its figure."""

    def table(experiments: Path) -> pd.DataFrame:
        for run in _RUNS:
            path = run_at(experiments, run) / "figures" / f"{name}.csv"
            if path.exists():
                return pd.read_csv(path)
        raise UserError(f"{path} does not exist")

    return table


def _bench(experiments: Path) -> pd.DataFrame:
    stored = json.loads(
        (run_at(experiments, "bench_cpu") / "bench.json").read_text("utf-8")
    )
    # Benchmarks from before --model had no choice of it.
    blocks = [
        Block(**{**_MODEL, **block, "rows": [Row(**row) for row in block["rows"]]})
        for block in stored["results"]
    ]
    return tabulate_bench(blocks, stored["machine"]["name"])


_COMMAND = f"python -m normlab.landscape --run=runs/{_RUNS[0]} --kind="

# Section -> name of the figure -> (its table, how it is drawn, the command).
OTHERS: dict[str, dict[str, tuple[Callable, Callable[..., Figure], str]]] = {
    "Landscapes of the loss": {
        "landscape_contour": (
            _landscape("landscape_plane_contour"),
            landscape_contour.draw,
            _COMMAND + "plane",
        ),
        "landscape_surface": (
            _landscape("landscape_plane_contour"),
            landscape_surface.draw,
            _COMMAND + "plane",
        ),
        "landscape_line": (
            _landscape("landscape_line_line"),
            landscape_line.draw,
            _COMMAND + "line",
        ),
        "landscape_path": (
            _landscape("landscape_path_contour"),
            landscape_contour.draw,
            _COMMAND + "path",
        ),
    },
    "Speed": {
        "bench": (
            _bench,
            draw_bench,
            "python -m normlab.bench --dataset=cifar10 --norm=none,batch,group "
            "--batch_size=50 --members=8 --out=runs/bench_cpu/bench.json",
        )
    },
}
