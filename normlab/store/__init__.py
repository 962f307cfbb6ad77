"""The run directory: what is finished is kept, what is half-written is never read."""

from normlab.store.layout import RunPaths
from normlab.store.run import load

__all__ = ["RunPaths", "load"]
