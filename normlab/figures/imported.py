"""Imports matplotlib even if the user's matplotlib settings are invalid.

On import, matplotlib reads MPLBACKEND and a matplotlibrc file, and fails if they are
invalid. normlab's figures do not use them (`normlab.figures.style`), so in this case
matplotlib is imported again without them. Valid settings are kept for other code.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def import_matplotlib() -> None:
    """Imports matplotlib."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise
    except Exception:
        # Remove the partly imported modules.
        for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]
        with _no_settings():
            importlib.import_module("matplotlib")


@contextlib.contextmanager
def _no_settings() -> Iterator[None]:
    """Unsets MPLBACKEND, and lets matplotlib find its own matplotlibrc first."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None and spec.origin is not None
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        with contextlib.chdir(Path(spec.origin).parent / "mpl-data"):
            yield
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


import_matplotlib()
