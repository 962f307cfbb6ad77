"""The sizes of a convolution, and how a GPU kernel divides it among programs."""

from typing import NamedTuple

from jax.experimental import pallas as pl

# Triton needs powers of 2, and at least 16 for its products.
LEAST = 16


class Tile(NamedTuple):
    """How the work is divided among programs of the GPU.

    Attributes:
      pixels, entries, outputs: pixels, entries of a patch, and output channels of one
        product.
      stages: Triton's. Loads run ahead of products by so many.
    """

    pixels: int
    entries: int
    outputs: int
    stages: int


class Sizes(NamedTuple):
    """Static sizes: images and channels, the kernel, zeros before, and outputs.

    With a dilation, ``dilation`` - 1 zeros stand between neighbouring pixels of the
    images, as in the input gradient of a convolution with that stride.
    """

    n: int
    height: int
    width: int
    inputs: int
    kernel: tuple[int, int]
    before: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]
    outputs: int

    @property
    def pixels(self) -> int:
        return self.n * self.out[0] * self.out[1]

    @property
    def entries(self) -> int:
        """Entries of a patch."""
        return self.kernel[0] * self.kernel[1] * self.inputs

    def tile(self, largest: Tile) -> Tile:
        """The tile for these sizes, which may be smaller than ``largest``."""
        some = self.inputs if self.inputs >= LEAST else self.entries
        entries = min(largest.entries, max(LEAST, pl.next_power_of_2(some)))
        outputs = min(self.outputs, largest.outputs)
        return largest._replace(entries=entries, outputs=outputs)
