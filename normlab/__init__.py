"""What do normalization layers do to the optimization of a network?"""

import sys

__version__ = "0.1.0"

# sys.argv[0] is "-m" while Python looks for the module of `python -m`. So a command is
# starting, and its imports will take seconds.
if sys.argv[:1] == ["-m"]:
    from normlab.interrupt import at_start

    at_start(sys.orig_argv[-len(sys.argv)])
