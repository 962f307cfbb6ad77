"""Settings: each is declared once, as a field of a dataclass here.

From its declaration (`Setting`) follow its flag and help, its checks, whether it is an
axis of a sweep, the cell's id, and what it was before it came. To add one: a field in
the group that it belongs to, and its use.
"""

from normlab.settings.declare import (
    FIRST,
    Setting,
    axes_of,
    declared,
    earlier,
    flag,
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
from normlab.settings.recording import RecordingSettings
from normlab.settings.training import NetworkSettings, TrainingSettings

__all__ = [
    "FIRST",
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
    "named",
    "settings_of",
    "stored",
    "stored_names",
    "without_none",
]
