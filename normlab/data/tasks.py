"""The task of a dataset, by its name, for code that does not load its arrays."""

# Their targets are numbers, and their loss is a squared error. The targets of all other
# datasets are classes.
REGRESSIONS = ("gaussian", "gaussian_uniform")


def task_of(name: str) -> str:
    """``regression`` or ``classification``: the task of the dataset called ``name``."""
    return "regression" if name in REGRESSIONS else "classification"


# The datasets of this project that have classes have ten.
_TEN = ("cifar10", "digits", "fashion_mnist", "mnist")


def chance_of(name: str) -> float | None:
    """The accuracy of guessing, if all classes of the dataset are as frequent.

    None for a regression, and for a dataset whose classes are not known here.
    """
    return 0.1 if name in _TEN else None
