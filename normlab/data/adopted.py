"""Datasets from outside the package: arrays become a `Dataset`, after a check."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from normlab.data.dataset import Dataset
from normlab.data.spec import sha256
from normlab.errors import UserError
from normlab.plugins import accepted, calling

ARRAYS = ("train_x", "train_y", "test_x", "test_y")
_AT_ONCE = 1000
# With more classes, a column of numbers was probably taken for labels.
_MOST_CLASSES = 100_000


def adopt(found: Any, name: str) -> Callable[[Path | None], Dataset]:
    """The entry of a plugin.

    Args:
      found: a `Dataset`, or a function that returns one, or returns the arrays train_x,
        train_y, test_x and test_y as a tuple or by name (with ``classes``, the names of
        the classes, if it likes). The function may take ``data_dir``.
      name: the plugin's name.

    Raises:
      UserError: it is something else, or needs an argument that no dataset gets.
    """
    says = f"--dataset={name}"
    if isinstance(found, Dataset):
        return lambda folder: from_arrays(name, _fields(found, says))
    if inspect.isclass(found) or not callable(found):
        raise UserError(
            f"{says}: a dataset is a function that returns train_x, train_y, test_x "
            f"and test_y, not a {type(found).__name__}"
        )
    accepted(found, {"data_dir": None}, says)

    def load(folder: Path | None) -> Dataset:
        with calling("dataset", name):
            value = found(**accepted(found, {"data_dir": folder}, says))
        if isinstance(value, Dataset):
            value = _fields(value, says)
        elif isinstance(value, tuple | list) and len(value) == len(ARRAYS):
            value = dict(zip(ARRAYS, value, strict=True))
        if not isinstance(value, Mapping) or not set(ARRAYS) <= set(value):
            raise UserError(f"{says}: it must return {', '.join(ARRAYS)}")
        return from_arrays(name, value)

    return load


def _fields(dataset: Dataset, says: str) -> dict[str, Any]:
    if dataset.task != "classification":
        raise UserError(
            f"{says}: it is a {dataset.task}; a dataset of one's own must have classes"
        )
    return vars(dataset)


def digest(dataset: Dataset) -> str:
    """sha256 of all four arrays, with their types and shapes."""
    total = hashlib.sha256()
    for name in ARRAYS:
        array = np.asarray(getattr(dataset, name))
        total.update(f"{name} {array.dtype} {array.shape} {sha256(array)}\n".encode())
    return total.hexdigest()


def from_arrays(name: str, arrays: Mapping[str, Any]) -> Dataset:
    """A dataset of images and labels that come from outside, after all checks.

    Images are uint8, or become float32. Labels become uint8 if they fit, or int32.

    Args:
      name: the dataset's name.
      arrays: train_x [N, H, W, C], train_y [N], test_x and test_y; perhaps ``classes``,
        the names of the classes (by default as many numbers as the labels need).

    Raises:
      UserError: an array has another shape or type, is empty or not finite, or a label
        is not that of a class.
    """
    says = f"--dataset={name}"
    x = {s: _images(f"{says}: {s}_x", arrays[f"{s}_x"]) for s in ("train", "test")}
    y = {s: _labels(f"{says}: {s}_y", arrays[f"{s}_y"]) for s in ("train", "test")}
    for split in ("train", "test"):
        if len(x[split]) != len(y[split]):
            raise UserError(
                f"{says}: {split}_x has {len(x[split])} images, and {split}_y "
                f"{len(y[split])} labels"
            )
    kinds = [f"{images.dtype} {images.shape[1:]}" for images in x.values()]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"{says}: images of train_x are {kinds[0]}, and of test_x {kinds[1]}"
        )
    given = arrays.get("classes")
    names = _classes(says, given, int(y["train"].max()) + 1)
    for split, labels in y.items():
        if labels.max() >= len(names):
            raise UserError(
                f"{says}: {split}_y has the label {labels.max()}, but there are "
                f"{len(names)} classes, from 0"
            )
    kind = np.uint8 if len(names) <= 256 else np.int32
    return Dataset(
        name=name,
        train_x=x["train"],
        train_y=y["train"].astype(kind),
        test_x=x["test"],
        test_y=y["test"].astype(kind),
        classes=names,
    )


def _array(says: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(f"{says} is not an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise UserError(f"{says} is an array of {array.dtype}, not of numbers")
    if not array.size:
        raise UserError(f"{says} is empty")
    return array


def _images(says: str, value: Any) -> np.ndarray:
    x = _array(says, value)
    if x.ndim == 3:
        raise UserError(
            f"{says} has shape {x.shape}; images need (N, H, W, C), so give grey ones "
            "a channel: x[..., None]"
        )
    if x.ndim != 4:
        raise UserError(f"{says} has shape {x.shape}; images need (N, H, W, C)")
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind != "f":
        raise UserError(f"{says} is {x.dtype}; images are uint8 (0 to 255) or floats")
    with np.errstate(over="ignore"):  # found below
        x = x.astype(np.float32, copy=False)
    for start in range(0, len(x), _AT_ONCE):
        bad = ~np.isfinite(x[start : start + _AT_ONCE]).all((1, 2, 3))
        if bad.any():
            number = start + int(bad.argmax())
            raise UserError(f"{says} has a NaN or an infinity in image {number}")
    return x


def _labels(says: str, value: Any) -> np.ndarray:
    y = _array(says, value)
    if y.ndim != 1:
        raise UserError(
            f"{says} has shape {y.shape}; labels need (N,), the number of the class"
        )
    if y.dtype.kind not in "iu":
        raise UserError(
            f"{says} is {y.dtype}; labels are whole numbers, from 0, because "
            "a dataset of one's own must have classes"
        )
    if y.min() < 0 or y.max() >= _MOST_CLASSES:
        raise UserError(
            f"{says} has labels from {y.min()} to {y.max()}; they must be from 0 to "
            f"{_MOST_CLASSES - 1}"
        )
    return y


def _classes(says: str, given: Any, least: int) -> tuple[str, ...]:
    if given is None:
        return tuple(map(str, range(max(least, 2))))
    names = tuple(map(str, np.asarray(given).tolist()))
    if len(names) < 2:
        raise UserError(f"{says}: it has {len(names)} classes, and needs at least 2")
    return names
