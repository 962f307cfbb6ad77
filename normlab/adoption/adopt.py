"""Makes a run of parameters that something else trained.

The run has one cell with one member. Its path has the parameters, and its metrics have
their evaluations, so everything that reads a run works. Its records say that it is
adopted, and its label does in every table and figure.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from normlab import data
from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.flagfiles import write
from normlab.members.platform import platform_here
from normlab.norms import NORMS
from normlab.run_options import RunOptions
from normlab.store import RunPaths, path
from normlab.store.layout import exists
from normlab.store.metrics import Recorder, write_metrics
from normlab.store.params import load_params, matched
from normlab.store.provenance import session
from normlab.store.run import open_run, write_cell
from normlab.sweep.plan import sweep_cells
from normlab.sweep.population import Population
from normlab.train.program import build_program, data_arrays, to_device
from normlab.train.state import TrainState
from normlab.train.way import choose_way


class Source(NamedTuple):
    """Parameters that something else trained.

    Attributes:
      name: for messages and the record: the name of a file, or ``params``.
      variables: the parameters, a pytree; or a dict with ``params`` and
        ``batch_stats``, the running averages of batch norm.
    """

    name: str
    variables: Any


def read(file: str | Path) -> Source:
    """The parameters in a file (`normlab.load_params`).

    Raises:
      UserError: the file cannot be read.
    """
    return Source(Path(file).name, load_params(file))


def adopt(
    config: SweepConfig, paths: RunPaths, sources: Mapping[int, Source], folder: str
) -> dict[int, dict[str, float]]:
    """Writes the run, after all checks.

    Args:
      config: a sweep of one network, as long as the last step.
      paths: the run directory, which must be new.
      sources: the number of updates -> what was trained until then.
      folder: of the datasets, or "".

    Returns:
      Step -> metric -> value, of the evaluations.

    Raises:
      UserError: the settings are of several networks or hold out images, the parameters
        do not fit the network, or the directory has files.
    """
    _check_new(paths)
    options = RunOptions(out=str(paths.root), data_dir=folder)
    cell = _the_cell(sweep_cells(config, options))
    if cell.config.validation:
        # The network may have been trained on them.
        raise UserError(
            f"--validation={cell.config.validation}: it is not known which images were "
            "held out where the network was trained"
        )
    if max(sources) != cell.config.steps:
        raise UserError(
            f"--steps={cell.config.steps}: the last parameters are those after step "
            f"{max(sources)}"
        )
    population = _population(cell, folder)
    start = population.state()
    recorder, points = Recorder(0), path.PathRecorder(paths.cell(cell.id).path)
    found, records = {}, []
    for step in sorted(sources):
        state = _fitted(start, sources[step], cell.config.norm)
        population.restore(dataclasses.replace(state, step=np.full(1, step, np.int32)))
        evaluation = population.evaluate(step)
        recorder.evaluation(step, evaluation)
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        points.add(step, variables)
        found[step] = {name: float(values[0]) for name, values in evaluation.items()}
        digest = _digest(variables)
        records.append({"step": step, "name": sources[step].name, "sha256": digest})
    if 0 not in sources:
        recorder.evaluation(0, {})  # a table begins there
    cell_paths = paths.cell(cell.id)
    points.flush()
    write_metrics(cell_paths.metrics, cell.config.steps, recorder.table())
    write_cell(cell_paths, cell, "complete", adopted=records)
    lines = [*write(config), f"--out={paths.root}"]
    open_run(paths, config, (cell,), lines, session(), adopted=True)
    return found


def _check_new(paths: RunPaths) -> None:
    if exists(paths.root) and (not paths.root.is_dir() or any(paths.root.iterdir())):
        raise UserError(f"--out={paths.root} is not empty; choose another --out")


def _the_cell(cells: tuple[Cell, ...]) -> Cell:
    """The only cell, which must have only one member."""
    first, *others = cells
    names = {f.name for f in dataclasses.fields(first.config)} if others else set()
    apart = [
        n for n in sorted(names) if len({getattr(cell.config, n) for cell in cells}) > 1
    ]
    if others or len(first.members) > 1:
        what = f"--{apart[0]}" if apart else "--num_seeds, --lr and the others"
        raise UserError(f"{what}: give one value, that of the network to adopt")
    if first.config.quantities:
        raise UserError(
            "--quantities are measured during training; python -m normlab.analysis "
            "measures them in an adopted run"
        )
    return dataclasses.replace(first, adopted=True)


def _population(cell: Cell, folder: str) -> Population:
    """One member at its start."""
    dataset = data.load(cell.config.dataset, data.data_dir(folder or None))
    dataset = data.subset(dataset, cell.config.train_size)
    platform = platform_here()
    way, _ = choose_way("auto", "auto", platform)
    program = build_program(cell.config, dataset, conv=way.conv)
    population = Population(
        program,
        cell,
        to_device(data_arrays(dataset)),
        execution=way.execution,
        member_chunk=1,
        call_steps=1,
    )
    population.start()
    return population


def _fitted(start: TrainState, source: Source, norm: str) -> TrainState:
    """``start`` with the variables of ``source``; leaves have a member axis.

    Raises:
      UserError: they do not fit, or running averages are missing.
    """
    variables, stats = source.variables, None
    if isinstance(variables, Mapping) and "params" in variables:
        stats = variables.get("batch_stats")
        variables = variables["params"]
    if stats is None and NORMS[norm].running:
        raise UserError(
            f"{source.name} has no running averages, which --norm={norm} needs: give "
            "both, as params and batch_stats"
        )
    new = {"params": _as_member(start.params, variables, source.name)}
    if stats:
        new["batch_stats"] = _as_member(start.batch_stats, stats, source.name)
    return dataclasses.replace(start, **new)


def _as_member(like: Any, tree: Any, name: str) -> Any:
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), like)
    return jax.tree.map(lambda x: x[None], matched(tree, shapes, name))


def _digest(variables: Any) -> str:
    """sha256 of all arrays, in the order of the tree."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(variables):
        total.update(np.ascontiguousarray(leaf).tobytes())
    return total.hexdigest()
