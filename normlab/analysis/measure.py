"""Measures quantities along the path that a run stored."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from normlab import data
from normlab.analysis.settings import AnalysisOptions
from normlab.cell import Cell
from normlab.data import Dataset
from normlab.data.batches import batch_indices
from normlab.errors import UserError
from normlab.members.over import nan_is_a_result
from normlab.members.platform import platform_here
from normlab.members.progress import CountProgress
from normlab.members.runner import Runner
from normlab.quantities import QUANTITIES, Site, needs
from normlab.settings import ProbeSettings
from normlab.store.layout import CellPaths, RunPaths
from normlab.store.links import check_links
from normlab.store.load import begun_cells
from normlab.store.path import read_path
from normlab.store.provenance import warn_changed
from normlab.store.quantities import to_table, write_analysis
from normlab.store.run import read_cell, read_record
from normlab.train.measure import Snapshot, askable
from normlab.train.optimizers import values_of
from normlab.train.program import build_measure, data_arrays
from normlab.train.schedules import make_rate
from normlab.train.way import choose_way

MeasuredMembers = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class _Group:
    """Quantities measured by one compiled program."""

    names: tuple[str, ...]
    site: Site
    run: Callable[[Snapshot, np.ndarray], MeasuredMembers]

    @property
    def needs_next(self) -> bool:
        return needs(self.names, "next")


def measure_run(
    paths: RunPaths,
    options: AnalysisOptions,
    changes: dict[str, Any],
    progress: Callable[[str], CountProgress],
) -> None:
    """`measure_cell` of every cell. Cells without norm layers skip their quantities.

    Raises:
      UserError: as `measure_cell`.
    """
    check_links(paths)
    cells = list(begun_cells(paths))
    norms = [read_cell(cell).config.norm for cell in cells]
    for cell, norm in zip(cells, norms, strict=True):
        names = askable(options.quantities, norm, norms)
        if names:
            cell_options = dataclasses.replace(options, quantities=names)
            measure_cell(cell, cell_options, changes, progress)


def measure_cell(
    paths: CellPaths,
    options: AnalysisOptions,
    changes: dict[str, Any],
    progress: Callable[[str], CountProgress],
) -> None:
    """Measures ``options.quantities`` on every member of a cell, and stores them.

    The results are those of a probe at the same step of training, because the function
    and the batch are the same. A quantity that needs the next point of the path is
    measured at the steps whose next point is stored.

    Args:
      changes: fields of `ProbeSettings` that differ from the run's own.
      progress: makes what shows the steps of a cell, from the cell's id.

    Raises:
      UserError: no path is stored, it is damaged, it lacks the successive points that a
        quantity needs, or the cell lacks what a quantity describes.
    """
    cell = read_cell(paths)
    run_settings = {
        f.name: getattr(cell.config, f.name) for f in dataclasses.fields(ProbeSettings)
    }
    settings = ProbeSettings(**run_settings | changes)
    dataset = data.load(cell.config.dataset, data.data_dir(options.data_dir or None))
    dataset = data.subset(dataset, cell.config.train_size)
    groups = [
        _group(cell, dataset, names, settings, options)
        for names in _split(options.quantities)
    ]
    warn_changed(read_record(paths), cell.config)
    tables: dict[str, list[pa.Table]] = {name: [] for name in options.quantities}
    with contextlib.closing(progress(cell.id)) as shown:
        shown(0, cell.config.steps)
        for step, variables, following in _points(paths, cell, options.every):
            for group in groups:
                if group.needs_next and following is None:
                    continue
                after = following["params"] if group.needs_next and following else {}
                with nan_is_a_result():
                    quantities = group.run(*_snapshot(cell, step, variables, after))
                for name, fields in quantities.items():
                    axes = QUANTITIES[name].axes
                    labels = {axis: group.site.labels(axis) for axis in axes}
                    tables[name].append(to_table(step, fields, axes, labels))
            shown(step, cell.config.steps)
    for name, parts in tables.items():
        if not parts:
            raise UserError(
                f"{name} needs successive points, and the path in {paths.path} has "
                "none: run with --path_next, or with --path_every=1"
            )
        note = dataclasses.asdict(settings) | {"every": options.every}
        write_analysis(paths, name, pa.concat_tables(parts), note)


def _split(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Separates quantities that need the next point, because they have fewer points."""
    for name in names:
        QUANTITIES.find(name)
    ahead = tuple(name for name in names if needs([name], "next"))
    plain = tuple(name for name in names if name not in ahead)
    return [names for names in (plain, ahead) if names]


def _points(
    paths: CellPaths, cell: Cell, every: int
) -> Iterator[tuple[int, dict[str, Any], dict[str, Any] | None]]:
    """(step, variables, those of step + 1 or None) for each point to measure."""
    every = every or cell.config.path_every or 1
    last = cell.config.steps
    waiting: tuple[int, dict[str, Any]] | None = None
    for step, variables in read_path(paths.path):
        if waiting is not None:
            yield *waiting, (variables if step == waiting[0] + 1 else None)
        due = step % every == 0 or step == last
        waiting = (step, variables) if due else None
    if waiting is not None:
        yield *waiting, None


def _snapshot(
    cell: Cell, step: int, variables: dict[str, Any], following: Any
) -> tuple[Snapshot, np.ndarray]:
    """The snapshot of all members, and their batches (members, batch size)."""
    config, members = cell.config, cell.members
    size, order = config.train_size, config.batch_order
    batches = {
        seed: batch_indices(
            seed, step, 1, config.batch_size, size, order, config.validation
        )[0]
        for seed in {member.seed for member in members}
    }
    steps: Any = np.full(len(members), step, np.int32)
    values: Any = values_of(members, cell.hyperparameters)
    snapshot = Snapshot(
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        next_params=following,
        lr=np.asarray(make_rate(config.schedule, config.steps)(values, steps)),
        seed=np.array([member.seed for member in members], np.uint32),
        step=steps,
    )
    return snapshot, np.stack([batches[member.seed] for member in members])


def _group(
    cell: Cell,
    dataset: Dataset,
    names: tuple[str, ...],
    settings: ProbeSettings,
    options: AnalysisOptions,
) -> _Group:
    """The program of some quantities over the members of a cell."""
    platform = platform_here()
    way, _ = choose_way(options.execution, options.conv, platform)
    site, measured = build_measure(cell.config, dataset, names, settings, conv=way.conv)
    run = Runner(
        measured,
        (True, True),
        way.execution,
        count=len(cell.members),
        settings=options,
        shared=(data_arrays(dataset),),
        advice="a smaller --member_chunk, --probe_images or --probe_samples needs less",
    )
    return _Group(names, site, run)
