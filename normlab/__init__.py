"""What do normalization layers do to the optimization of a network?"""

import importlib
import sys
from typing import Any

__version__ = "0.1.0"

# The public names, and the modules that have them. A module is imported when its name
# is first used, so that `import normlab` stays fast.
_PUBLIC: dict[str, str] = {
    "Chunks": "normlab.quantities.fixed",
    "Log": "normlab.log",
    "Run": "normlab.api.stored",
    "UserError": "normlab.errors",
    "adopt": "normlab.api.adopt",
    "between": "normlab.landscape.own",
    "figure": "normlab.figures",
    "line": "normlab.landscape.own",
    "load_params": "normlab.store.params",
    "path_plane": "normlab.landscape.own",
    "plane": "normlab.landscape.own",
    "probe": "normlab.quantities.probe",
    "read_run": "normlab.api.stored",
    "run": "normlab.api.call",
    "tap": "normlab.norms.taps",
}

# sys.argv[0] is "-m" while Python looks for the module of `python -m`. So a command is
# starting, and its imports will take seconds.
if sys.argv[:1] == ["-m"]:
    from normlab.interrupt import at_start

    at_start(sys.orig_argv[-len(sys.argv)])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
