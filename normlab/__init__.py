"""What do normalization layers do to the optimization of a network?"""

import sys

__version__ = "0.1.0"

# Python says -m in place of the program's name while it looks for the module. So this
# is a command that is starting, and its imports will take seconds.
if sys.argv[:1] == ["-m"]:
    from normlab.interrupt import at_start

    at_start(sys.orig_argv[-len(sys.argv)])
