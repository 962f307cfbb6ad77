"""The rows of an evaluation, for a function of the caller's (``on_eval``)."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from normlab.cell import Cell
from normlab.metrics import METRICS
from normlab.store.load import with_settings

# Is called after each evaluation of a cell.
OnEval = Callable[[pd.DataFrame], object]


def evaluation_rows(
    cell: Cell, step: int, metrics_M: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """An evaluation as a table with a row for each member of ``cell``.

    The columns are those of `normlab.store.load`: ``cell``, ``label``, the settings,
    the members' values, ``member``, ``step``, and the metrics that were evaluated, as
    they will be stored (float32).
    """
    places = np.arange(len(cell.members), dtype=np.int32)
    values = {name: metrics_M[name] for name in METRICS if name in metrics_M}
    rows = pd.DataFrame({"member": places, "step": np.int32(step), **values})
    return with_settings(cell, rows)
