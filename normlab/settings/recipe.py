"""Training without any of the settings that change its gradient or its rate."""

from normlab.settings.declare import settings_of
from normlab.settings.members import MemberSettings
from normlab.settings.training import TrainingSettings

# Setting -> its value in such training, as in all runs stored before it existed.
PLAIN = {
    spec.name: setting.before
    for kind in (TrainingSettings, MemberSettings)
    for spec, setting in settings_of(kind)
    if setting.recipe
}
