"""Imports matplotlib, whatever a user's settings make of that.

Imported first, matplotlib reads MPLBACKEND and a matplotlibrc, and what it cannot read
is an error. No figure here follows them (`normlab.figures.style`), so it is imported
again without. Settings that it can read stay as they are for whoever else draws.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def import_matplotlib() -> None:
    """Has matplotlib imported."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise
    except Exception:
        # Half of it was imported.
        for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]
        with _no_settings():
            importlib.import_module("matplotlib")


@contextlib.contextmanager
def _no_settings() -> Iterator[None]:
    """Without a backend, and where matplotlib's own settings are found first."""
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
