"""What defines a kind of archive, and what several kinds share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError


class NoArchive(UserError):
    """It is not an archive, or cannot be read. Fetching it again would not help."""


@dataclass(frozen=True)
class Kind:
    """One kind of archive.

    Attributes:
      archive: the name of the published archive, for messages.
      members: the paths that it must contain, for a spec.
      alternatives: whether some of these paths are enough; ``decode`` decides which.
      decode: contents by path -> arrays; raises UserError for anything unexpected.
      size: the size of the published archive in bytes, if it is known.
    """

    archive: str
    members: Callable[[Spec], tuple[str, ...]]
    decode: Callable[[Mapping[str, bytes], Spec], Arrays]
    size: int | None = None
    alternatives: bool = False


def file_names(spec: Spec) -> tuple[str, ...]:
    """The names that all kinds share: training files in order, then the test file."""
    train = (f"data_batch_{number}" for number in range(1, spec.train_files + 1))
    return (*train, "test_batch")


def images_from_planes(planes: np.ndarray, spec: Spec) -> np.ndarray:
    """uint8 [N, C*H*W], plane after plane -> uint8 [N, H, W, C]."""
    height, width, channels = spec.image_shape
    x_NCHW = planes.reshape(-1, channels, height, width)
    return np.ascontiguousarray(x_NCHW.transpose(0, 2, 3, 1))


def split_arrays(images: list[np.ndarray], labels: list[np.ndarray]) -> Arrays:
    """The four arrays from the files' contents, in the order of `file_names`."""
    return {
        "train_x": np.concatenate(images[:-1]),
        "train_y": np.concatenate(labels[:-1]),
        "test_x": images[-1],
        "test_y": labels[-1],
    }
