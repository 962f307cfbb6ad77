"""Cells that are stopped, and what is seen of them."""

import jax
import numpy as np
import pandas as pd

from normlab.store.layout import CellPaths
from normlab.store.metrics import read_parts, to_frame
from tests import tiny


class Interrupted(Exception):
    pass


class StopAfter(tiny.Silent):
    """Raises in the call of `advance` that follows ``calls`` of them."""

    def __init__(self, calls: int):
        super().__init__()
        self._left = calls

    def advance(self, steps, losses_M):
        if self._left == 0:
            raise Interrupted
        self._left -= 1


def frame_of(paths: CellPaths) -> pd.DataFrame:
    table = read_parts(paths.metrics)
    assert table is not None
    return to_frame(table)


def same_bits(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)
