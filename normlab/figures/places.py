"""Words for the origin of a figure's data, in its caption."""

import pandas as pd

from normlab.data.spec import CIFAR10
from normlab.statistics.finals import RUN_NAME
from normlab.statistics.intervals import number
from normlab.words import counted


def place_of(frame: pd.DataFrame) -> str:
    """`_place_of`; of several runs, those that differ: ``A: ...; B: ...``."""
    if RUN_NAME not in frame:
        return _place_of(frame)
    places = {
        str(name): _place_of(rows) for name, rows in frame.groupby(RUN_NAME, sort=False)
    }
    if len(set(places.values())) == 1:
        return next(iter(places.values()))
    return "; ".join(f"{name}: {place}" for name, place in places.items())


def _place_of(frame: pd.DataFrame) -> str:
    """The origin of the data: ``cifar10, vgg11 of width 0.125, batches of 128``.

    It includes a width other than 1 and the batch size, unless they vary; then
    ``setting`` contains them. It also includes the number of CIFAR-10 training images,
    if not all were used (``10000 images of cifar10``), and of diverged members.
    """
    images = frame.loc[frame["dataset"].eq("cifar10"), "train_size"].unique()
    some = len(images) == 1 and images[0] < CIFAR10.train_images
    datasets = [
        f"{images[0]} images of {name}" if some and name == "cifar10" else name
        for name in frame["dataset"].unique()
    ]
    words = [", ".join(datasets), ", ".join(frame["model"].unique())]
    width, batch = frame["width"].unique(), frame["batch_size"].unique()
    if len(width) == 1 and width[0] != 1:
        words[-1] += f" of width {number(width[0])}"
    if len(batch) == 1 and batch[0] == batch[0]:  # NaN in a log without a batch size
        words.append(f"batches of {batch[0]}")
    if "diverged" in frame:
        lost = frame.groupby(["cell", "member"])["diverged"].any()
        if lost.any():
            words.append(f"{lost.sum()} of {counted(len(lost), 'member')} diverged")
    return ", ".join(words)
