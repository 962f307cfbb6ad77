"""Exports a stored run as TensorBoard event files with scalars and histograms.

Each member becomes a run in TensorBoard. Steps are the same as in the store.
"""

from normlab.tensorboard.events import check_installed
from normlab.tensorboard.export import export_run

__all__ = ["check_installed", "export_run"]
