"""Training without any of the settings that change its gradient or its rate."""

from normlab.settings.declare import earlier
from normlab.settings.members import MemberSettings
from normlab.settings.training import TrainingSettings

_NAMES = (
    "schedule",
    "warmup",
    "decay_to",
    "clip_norm",
    "clip_adaptive",
    "label_smoothing",
    "decay_mask",
    "accumulate",
)
# Setting -> its value in such training, as in all runs stored before it existed.
PLAIN = {
    name: value
    for kind in (TrainingSettings, MemberSettings)
    for name, value in earlier(kind).items()
    if name in _NAMES
}
