"""Parts of a batch that stay in a CPU's cache (docs/speed.md)."""

from normlab.models import backend

# Parts have so many examples.
_SIZES = range(32, 15, -1)
# Smaller batches gain nothing: from a step in parts, and from patches in parts.
LEAST_OF_STEP, LEAST_OF_PATCHES = 50, 64


def parts_of(examples: int, least: int) -> int:
    """In how many equal parts a batch is computed; 1 if it has no such parts.

    On a GPU that is always 1.

    Args:
      least: smaller batches are not cut.
    """
    if examples < least or not backend.is_cpu():
        return 1
    return next((examples // size for size in _SIZES if examples % size == 0), 1)
