"""`normlab.adopt`: parameters that were trained elsewhere, as a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normlab.adoption import adopt as adoption
from normlab.api import arguments
from normlab.api.stored import Run
from normlab.errors import UserError
from normlab.store import RunPaths


def adopt(params: Any, *, out: str | Path, **settings: Any) -> Run:
    """Makes a run of parameters that something else trained, to measure and draw them.

    ::

        run = normlab.adopt(
            "trained.npz", steps=5000, norm="batch", model="vgg11", out="runs/trained"
        )

    It is ``python -m normlab.adoption`` as a function. The run has one member. All that
    reads a run works with it: ``normlab.analysis``, ``normlab.landscape``, figures and
    the page. Its label says ``adopted``, and claims leave it out.

    Args:
      params: a file (`normlab.load_params`) or a pytree with the parameters' names and
        shapes; with batch norm a dict of ``params`` and ``batch_stats``. Points along a
        training are a dict: the number of updates -> such a file or tree.
      out: the run directory, which must be new.
      settings: of the network, its data and its training, as for `normlab.run`. With
        one point, ``steps`` (or ``epochs``) is the number of its updates.

    Raises:
      UserError: a setting is wrong, the parameters do not fit the network, or ``out``
        is not empty.
    """
    several = _by_step(params)
    if several and not settings.get("epochs"):
        settings = {"steps": max(params)} | settings
    try:
        config, options = arguments.settings({"num_seeds": 1, **settings, "out": out})
        paths = RunPaths.at(options.out)
        points = params if several else {config.steps: params}
        sources = {step: _source(one) for step, one in points.items()}
        adoption.adopt(config, paths, sources, options.data_dir)
    except UserError as error:
        text = str(error).replace(f"{arguments.NAME}:", "normlab.adopt:")
        raise UserError(text) from error
    return Run(paths.root)


def _by_step(params: Any) -> bool:
    whole = isinstance(params, Mapping) and bool(params)
    return whole and all(type(step) is int for step in params)


def _source(params: Any) -> adoption.Source:
    if isinstance(params, str | Path):
        return adoption.read(params)
    return adoption.Source("params", params)
