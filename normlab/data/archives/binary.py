"""``cifar-10-binary.tar.gz``: rows of one label byte and three colour planes."""

from collections.abc import Mapping

import numpy as np

from normlab.data.archives.kind import (
    Kind,
    file_names,
    images_from_planes,
    split_arrays,
)
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError


def members(spec: Spec) -> tuple[str, ...]:
    """The paths of the six files."""
    return tuple(f"cifar-10-batches-bin/{name}.bin" for name in file_names(spec))


def decode(contents: Mapping[str, bytes], spec: Spec) -> Arrays:
    """The arrays; a UserError unless every file has exactly ``spec.rows`` rows."""
    images, labels = [], []
    for name in members(spec):
        row_bytes = 1 + spec.image_bytes
        if len(contents[name]) != spec.rows * row_bytes:
            size, wanted = len(contents[name]), spec.rows * row_bytes
            raise UserError(f"{name} in it has {size} bytes, not {wanted}")
        rows = np.frombuffer(contents[name], np.uint8).reshape(spec.rows, row_bytes)
        labels.append(rows[:, 0])
        images.append(images_from_planes(rows[:, 1:], spec))
    return split_arrays(images, labels)


KIND = Kind("cifar-10-binary.tar.gz", members, decode, 170_052_171)
