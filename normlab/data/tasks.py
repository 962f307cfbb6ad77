"""What is learned of a dataset, told by its name: for who has no arrays of it."""

# Their targets are numbers, and their loss is a squared error; any other dataset's
# targets are classes.
REGRESSIONS = ("gaussian", "gaussian_uniform")


def task_of(name: str) -> str:
    """``regression`` or ``classification``: the task of the dataset of that name."""
    return "regression" if name in REGRESSIONS else "classification"
