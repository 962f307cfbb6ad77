"""Which settings do not train: their networks diverged, or guess.

Such a network cannot be compared with others. Its gradients are small, for example,
because it learns nothing.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from normlab.data.tasks import chance_of
from normlab.figures.tables import with_names
from normlab.statistics.finals import trained_on

# (setting, point), as figures name them -> "diverged" or "at chance".
Failed = Mapping[tuple[str, str], str]
DIVERGED, AT_CHANCE = "diverged", "at chance"
NEAR = 0.01  # of accuracy above chance, within which a network has not learned
_LAST = 0.9  # of the steps: the batches after it are the last ones


def failed(frame: pd.DataFrame) -> Failed:
    """The settings of which at least half of the networks do not train.

    Args:
      frame: the table of a run (`normlab.store.load`).
    """
    members = ["cell", "member"]
    diverged = frame.groupby(members, sort=False)["diverged"].any()
    last = frame.loc[frame.groupby(members, sort=False)["step"].idxmax()]
    lost = diverged.reindex(pd.MultiIndex.from_frame(last[members])).to_numpy(bool)
    table = with_names(last).assign(lost=lost, guesses=_guesses(frame, last) & ~lost)
    shares = table.groupby(["setting", "point"], sort=False)[["lost", "guesses"]].mean()
    bad = shares[shares.sum(axis=1) >= 0.5]
    words = np.where(bad["lost"] >= bad["guesses"], DIVERGED, AT_CHANCE)
    return {
        (str(setting), str(point)): str(word)
        for (setting, point), word in zip(bad.index, words, strict=True)
    }


def at_chance(frame: pd.DataFrame) -> set[tuple[str, str]]:
    """The (setting, point) of which half do not train, mostly because they guess."""
    return {row for row, why in failed(frame).items() if why == AT_CHANCE}


def _guesses(frame: pd.DataFrame, last: pd.DataFrame) -> np.ndarray:
    """Which networks are at chance at their end, on test images and in training.

    A network may fit its training images and still guess on others. In training it is
    judged by its last batches, because running statistics may fail it in evaluation.
    Those batches have at most as many different images as it is trained on, and two
    standard deviations of such a sample count as chance.

    Args:
      last: the last row of every member.
    """
    chance = last["dataset"].map(chance_of).to_numpy(float)
    since = np.minimum(_LAST * frame["steps"], frame["steps"] - 1)
    late = frame[frame["step"] >= since]
    means = late.groupby(["cell", "member"], sort=False)["batch_accuracy"].mean()
    fitted = means.reindex(pd.MultiIndex.from_frame(last[["cell", "member"]]))
    seen = np.maximum((1 - _LAST) * last["steps"], 1) * last["batch_size"]
    images = np.asarray(np.minimum(seen, trained_on(last)), float)
    above = NEAR + 2 * np.sqrt(chance * (1 - chance) / images)
    tests_badly = last["test_accuracy"].to_numpy(float) <= chance + NEAR
    fits_badly = fitted.to_numpy(float) <= chance + above
    finished = last["step"].to_numpy() == last["steps"].to_numpy()
    return finished & tests_badly & fits_badly
