"""Random images, for machines without a dataset: their values change no speed."""

import numpy as np

from normlab.data import Dataset

# The images have the shape of these.
SHAPED_LIKE = "cifar10"
# What ``--dataset`` calls them.
RANDOM = "random"


def random_images(count: int = 5000) -> Dataset:
    """Random images of CIFAR-10's shape, with random labels."""
    random = np.random.default_rng(0)

    def split(size: int) -> tuple[np.ndarray, np.ndarray]:
        images = random.integers(0, 256, (size, 32, 32, 3), np.uint8)
        return images, random.integers(0, 10, size).astype(np.uint8)

    names = tuple(map(str, range(10)))
    return Dataset(SHAPED_LIKE, *split(count), *split(100), names)
