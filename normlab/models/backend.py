"""What programs are compiled for."""

from normlab.members.platform import platform_here


def is_cpu() -> bool:
    """Whether it is a CPU. Some code is fast on one and slow on a GPU, or the reverse.

    Read when a program is traced; ``experiments/gpu/bytes.py`` replaces it.
    """
    return platform_here() == "cpu"
