"""CIFAR-10 as published: shapes, class names and digests, checked for every source."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]
"""The four arrays by name: train_x, train_y, test_x, test_y."""


def sha256(array: np.ndarray) -> str:
    """The hexadecimal digest of the array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


@dataclass(frozen=True)
class Spec:
    """What a CIFAR-like dataset must be: five training files and a test file.

    Attributes:
      name: the dataset's name and the name of its folder.
      rows: images in each of the six files.
      classes: class names by index.
      digests: sha256 of the uint8 bytes of each array, in the published order
        (images as [N, H, W, C]).
    """

    name: str
    rows: int
    classes: tuple[str, ...]
    digests: Mapping[str, str]
    image_shape: tuple[int, int, int] = (32, 32, 3)
    train_files: int = 5

    @property
    def train_images(self) -> int:
        return self.rows * self.train_files

    @property
    def image_bytes(self) -> int:
        height, width, channels = self.image_shape
        return height * width * channels

    def shape(self, array: str) -> tuple[int, ...]:
        """The shape of ``train_x``, ``train_y``, ``test_x`` or ``test_y``."""
        split, kind = array.split("_")
        count = self.rows * (self.train_files if split == "train" else 1)
        return (count, *self.image_shape) if kind == "x" else (count,)

    def fault(self, arrays: Arrays) -> str | None:
        """What is wrong with the arrays, in a few words, or None if nothing is."""
        for name, digest in self.digests.items():
            array = arrays[name]
            if array.dtype != np.uint8 or array.shape != self.shape(name):
                return (
                    f"{name} is {array.dtype} {array.shape}, "
                    f"not uint8 {self.shape(name)}"
                )
            actual = sha256(array)
            if actual != digest:
                return f"{name} has sha256 {actual[:16]}..., not {digest[:16]}..."
        return None


CIFAR10 = Spec(
    name="cifar10",
    rows=10_000,
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    digests={
        "train_x": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "train_y": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test_x": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "test_y": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
)
