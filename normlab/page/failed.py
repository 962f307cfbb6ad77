"""Which settings do not train: their networks diverged, or guess.

Such a network cannot be compared with others. Its gradients are small, for example,
because it learns nothing.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from normlab.data.tasks import chance_of
from normlab.figures.tables import with_names

# (setting, point), as figures name them -> "diverged" or "at chance".
Failed = Mapping[tuple[str, str], str]
DIVERGED, AT_CHANCE = "diverged", "at chance"
_NEAR = 0.01  # of accuracy above chance, within which a network has not learned


def failed(frame: pd.DataFrame) -> Failed:
    """The settings of which more than half of the networks do not train.

    Args:
      frame: the table of a run (`normlab.store.load`).
    """
    members = ["cell", "member"]
    diverged = frame.groupby(members, sort=False)["diverged"].any()
    last = frame.loc[frame.groupby(members, sort=False)["step"].idxmax()]
    chance = last["dataset"].map(chance_of).astype(float)
    guesses = (last["step"] == last["steps"]) & (
        last["test_accuracy"] <= chance + _NEAR
    )
    lost = diverged.reindex(pd.MultiIndex.from_frame(last[members])).to_numpy(bool)
    table = with_names(last).assign(lost=lost, guesses=guesses & ~lost)
    shares = table.groupby(["setting", "point"], sort=False)[["lost", "guesses"]].mean()
    bad = shares[shares.sum(axis=1) > 0.5]
    words = np.where(bad["lost"] >= bad["guesses"], DIVERGED, AT_CHANCE)
    return {
        (str(setting), str(point)): str(word)
        for (setting, point), word in zip(bad.index, words, strict=True)
    }
