"""Datasets as published: shapes, class names and digests, checked for every source."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Arrays = dict[str, np.ndarray]
"""The four arrays by name: train_x, train_y, test_x, test_y."""


def sha256(array: np.ndarray) -> str:
    """The hexadecimal digest of the array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


@dataclass(frozen=True)
class Spec:
    """What a dataset must be.

    Attributes:
      name: the dataset's name and the name of its folder.
      rows: images for testing. There are ``train_files`` times as many for training.
      classes: class names by index.
      digests: sha256 of the uint8 bytes of each array, in the published order
        (images as [N, H, W, C]).
      form: how it is published: ``cifar``, ``train_files`` files of ``rows`` images and
        a test file; or ``idx``, a file of images and a file of labels for each split.
    """

    name: str
    rows: int
    classes: tuple[str, ...]
    digests: Mapping[str, str]
    image_shape: tuple[int, int, int] = (32, 32, 3)
    train_files: int = 5
    form: Literal["cifar", "idx"] = "cifar"

    @property
    def train_images(self) -> int:
        return self.rows * self.train_files

    @property
    def image_bytes(self) -> int:
        height, width, channels = self.image_shape
        return height * width * channels

    @property
    def largest_file(self) -> int:
        """More bytes than any file of a published archive has.

        A row of a CIFAR batch has an image and a label; in the pickled kind, it also
        has a name of about 30 bytes. The PNG sheets are smaller than their pixels.
        """
        images = self.train_images if self.form == "idx" else self.rows
        return images * (self.image_bytes + 128) + 65_536

    @property
    def all_files(self) -> int:
        """More bytes than a published archive unpacks to: room for one file more."""
        return (2 if self.form == "idx" else self.train_files + 2) * self.largest_file

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

MNIST = Spec(
    name="mnist",
    rows=10_000,
    classes=tuple("0123456789"),
    digests={
        "train_x": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "train_y": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "test_x": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "test_y": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
    image_shape=(28, 28, 1),
    train_files=6,
    form="idx",
)

FASHION_MNIST = Spec(
    name="fashion_mnist",
    rows=10_000,
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    digests={
        "train_x": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "train_y": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "test_x": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "test_y": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    },
    image_shape=(28, 28, 1),
    train_files=6,
    form="idx",
)

SPECS = {spec.name: spec for spec in (CIFAR10, MNIST, FASHION_MNIST)}
"""What `normlab.data.prepare` can prepare, by name."""
