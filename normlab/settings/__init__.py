"""Settings: each is declared once, as a field of a dataclass here.

A setting's declaration (`Setting`) determines its flag and help text, its checks,
whether it is an axis of a sweep, its part in a cell's id, and its value in runs stored
before it existed. To add one, add a field to the group it belongs to, and use it.
"""

from normlab.settings.declare import (
    FIRST,
    Setting,
    axes_of,
    declared,
    earlier,
    flag,
    grouped,
    named,
    settings_of,
    stored,
    stored_names,
    without_none,
)
from normlab.settings.devices import DeviceSettings
from normlab.settings.members import MemberSettings
from normlab.settings.norms import NormSettings
from normlab.settings.probes import ProbeSettings
from normlab.settings.recipe import PLAIN
from normlab.settings.recording import RecordingSettings
from normlab.settings.training import NetworkSettings, TrainingSettings

__all__ = [
    "FIRST",
    "PLAIN",
    "DeviceSettings",
    "MemberSettings",
    "NetworkSettings",
    "NormSettings",
    "ProbeSettings",
    "RecordingSettings",
    "Setting",
    "TrainingSettings",
    "axes_of",
    "declared",
    "earlier",
    "flag",
    "grouped",
    "named",
    "settings_of",
    "stored",
    "stored_names",
    "without_none",
]
