"""What a dataset's name says of it, for code that does not load its arrays."""

import math

from normlab.data import DATASETS

# Their targets are numbers, and their loss is a squared error. The targets of all other
# datasets are classes.
REGRESSIONS = tuple(
    name for name, entry in DATASETS.items() if math.isnan(entry.chance)
)


def task_of(name: str) -> str:
    """``regression`` or ``classification``: the task of the dataset called ``name``."""
    return "regression" if name in REGRESSIONS else "classification"


def chance_of(name: str) -> float:
    """The accuracy of always answering the most frequent class of the dataset.

    NaN for a regression, and for a dataset of one's own, whose classes are not known
    here.
    """
    return getattr(DATASETS.get(name), "chance", math.nan)
