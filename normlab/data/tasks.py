"""The task of a dataset, by its name, for code that does not load its arrays."""

# Their targets are numbers, and their loss is a squared error. The targets of all other
# datasets are classes.
REGRESSIONS = ("gaussian", "gaussian_uniform")


def task_of(name: str) -> str:
    """``regression`` or ``classification``: the task of the dataset called ``name``."""
    return "regression" if name in REGRESSIONS else "classification"
