"""How the norms cut their input into the blocks that they standardize."""

from normlab.norms.options import NormOptions


def groups_of(kind: str, options: NormOptions, channels: int) -> int | None:
    """The number of groups of a block, None where the whole batch is one.

    Raises:
      KeyError: the norm does not standardize block by block (none, batch_lp), or adds
        something else (batch_noisy).
    """
    return {
        "batch": None,
        "group": options.groups,
        "layer": 1,
        "instance": channels,
    }[kind]


STANDARDIZING = ("batch", "group", "layer", "instance")
