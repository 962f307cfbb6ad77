"""A stored run as event files of TensorBoard: scalars, and histograms along training.

TensorBoard's runs are members; its steps are those of the store.
"""

from normlab.tensorboard.events import check_installed
from normlab.tensorboard.export import export_run

__all__ = ["check_installed", "export_run"]
