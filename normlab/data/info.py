"""Describes the data that is there, in a few lines for each dataset."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from normlab.data import DATASETS, digits, gaussian
from normlab.data.dataset import Dataset
from normlab.data.spec import SPECS, sha256
from normlab.data.transform import feature_statistics
from normlab.errors import UserError

PUBLISHED: dict[str, Mapping[str, str]] = {
    **{name: spec.digests for name, spec in SPECS.items()},
    "digits": digits.DIGESTS,
    **gaussian.DIGESTS,
}


def describe(
    root: Path,
    datasets: Mapping[str, Callable[[Path | None], Dataset]] = DATASETS,
    published: Mapping[str, Mapping[str, str]] = PUBLISHED,
) -> str:
    """A block of text for each dataset: folder, counts, classes, digests, means.

    The digests are computed, not read from a marker, so this finds a damaged cache.
    """
    blocks = []
    for name in sorted(datasets):
        try:
            dataset = datasets[name](root)
        except UserError as error:
            blocks.append(str(error))
            continue
        blocks.append("\n  ".join(_lines(dataset, root, published.get(name, {}))))
    return "\n\n".join(blocks)


def _lines(dataset: Dataset, root: Path, published: Mapping[str, str]) -> list[str]:
    folder = root / dataset.name
    where = f"prepared in {folder}" if folder.is_dir() else "comes with the package"
    height, width, channels = dataset.image_shape
    mean, _ = feature_statistics(dataset.train_x, "channel")
    counts = f"{len(dataset.train_x)} for training, {len(dataset.test_x)} for testing"
    outputs = "classes" if dataset.task == "classification" else "outputs"
    lines = [
        f"{dataset.name}: {where}",
        f"images     {counts}, {height}x{width}x{channels} {dataset.train_x.dtype}",
        f"{outputs:10} {', '.join(dataset.classes)}",
        f"means      {' '.join(f'{value:.3f}' for value in mean.ravel())} by channel",
    ]
    for array in ("train_x", "train_y", "test_x", "test_y"):
        digest = sha256(np.asarray(getattr(dataset, array)))
        verdict = "as published"
        if published.get(array) != digest:
            verdict = "NOT AS PUBLISHED"
        lines.append(f"{array:10} sha256 {digest} ({verdict})")
    return lines
