"""Parts of a batch that stay in a CPU's cache (docs/speed.md)."""

from normlab.models import backend

# How many examples a part may have: of a step, and of a layer's patches. They are even,
# because gradients of kernels are slow with an odd number of images.
OF_STEP, OF_PATCHES = range(64, 31, -2), range(32, 15, -2)
# Smaller batches gain nothing.
_LEAST = 64


def parts_of(examples: int, sizes: range) -> int:
    """In how many equal parts a batch is computed; 1 if it has no such parts.

    On a GPU that is always 1.

    Args:
      sizes: the sizes that a part may have, the best one first.
    """
    if examples < _LEAST or not backend.is_cpu():
        return 1
    return next((examples // size for size in sizes if examples % size == 0), 1)
