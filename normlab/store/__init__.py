"""The run directory: what is finished is kept, what is half-written is never read."""

from normlab.store.layout import RunPaths
from normlab.store.load import load, load_quantity

__all__ = ["RunPaths", "load", "load_quantity"]
