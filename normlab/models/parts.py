"""Parts of a batch that stay in a CPU's cache (docs/speed.md)."""

# Parts have so many examples.
_SIZES = range(32, 15, -1)


def parts_of(examples: int, least: int) -> int:
    """In how many equal parts a batch is computed; 1 if it has no such parts.

    Args:
      least: smaller batches are not cut.
    """
    if examples < least:
        return 1
    return next((examples // size for size in _SIZES if examples % size == 0), 1)
