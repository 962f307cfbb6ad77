"""Draws the loss around stored points of a run: contours, surfaces, lines.

    python -m normlab.landscape --run=runs/landscape_small_cnn --kind=plane

Slices follow Li, Xu, Taylor, Studer & Goldstein 2018 (arXiv 1712.09913). --kind=plane
and line use random directions whose filters are scaled to the norms of the network's
filters. --kind=between interpolates between two points of the path. --kind=path uses
the plane in which the path varies most. Except for --kind=between, biases and the
parameters of norms are not changed.

Points come from the path (--path_every) and the checkpoints of the run. Results are
stored in the run tile by tile. Repeating a command continues the computation, or only
draws if it is complete.
"""

import contextlib

import numpy as np
import pandas as pd
from absl import flags

from normlab.errors import UserError
from normlab.figures import (
    CannotDraw,
    check_drawn,
    drawing_with,
    landscape_contour,
    landscape_line,
    landscape_surface,
    style_of,
)
from normlab.figures.paper import PaperStyle
from normlab.figures.style import draw_into
from normlab.flags import defined, read, run
from normlab.landscape.compute import CellLandscapes
from normlab.landscape.points import Diverged
from normlab.landscape.select import selected_cells, selected_members
from normlab.landscape.settings import LandscapeConfig
from normlab.landscape.table import tabulate
from normlab.members.placement import use_cores
from normlab.members.progress import CountProgress
from normlab.store import RunPaths

PROGRAM = "normlab.landscape"

_DRAWN = {
    "plane": {"contour": landscape_contour, "surface": landscape_surface},
    "line": {"line": landscape_line},
    "between": {"line": landscape_line},
    "path": {"contour": landscape_contour, "surface": landscape_surface},
}


def _draw(table: pd.DataFrame, config: LandscapeConfig, style: PaperStyle) -> None:
    folder = RunPaths.at(config.run).figures
    failed = []
    for what, figure in _DRAWN[config.kind].items():
        name = f"{config.figure_name}_{what}"
        try:
            with drawing_with(style):
                written = draw_into(folder, name, figure.draw, table)
            more = ", ".join(file.suffix for file in written[1:])
            print(f"figure: {written[0]} (and {more})")
        except CannotDraw as error:
            failed.append(error)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}") from error
    check_drawn(failed)


def main(values: flags.FlagValues) -> None:
    config = read(LandscapeConfig, values)
    style = style_of(config.style or None)
    use_cores(config.devices)
    landscapes, lost = [], []
    for paths, cell in selected_cells(config):
        work = CellLandscapes(paths, cell, config)
        for i in selected_members(cell, config):
            member = cell.members[i]
            name = f"{cell.label}, seed {member.seed}, lr {member.lr:g}"
            try:
                with contextlib.closing(CountProgress(name)) as progress:
                    landscape = work.compute(i, progress)
            except Diverged as error:
                lost.append(str(error))
                continue
            if np.isfinite(landscape.table["loss"]).any():
                landscapes.append(landscape)
                continue
            lost.append(
                f"{name}: no loss is finite around step {landscape.settings['step']}. "
                "Use a smaller --span, an earlier --step or another member"
            )
    if landscapes:  # one member that diverged does not cost the others
        _draw(tabulate(landscapes), config, style)
    if lost:
        raise UserError("; ".join(lost))


def flag_values() -> flags.FlagValues:
    return defined(LandscapeConfig)


if __name__ == "__main__":
    run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
