"""The setting of a claim's source, and how far the runs fall short of it.

A verdict needs networks of at least that size, trained at least that long. Smaller ones
are measured, but they neither support nor contradict the claim. Images that are held
out train nothing, so they do not count, except for a tenth (`HELD_OUT`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from normlab.statistics.finals import trained_on
from normlab.statistics.intervals import number

# So much of the training images may be held out to choose learning rates.
HELD_OUT = 0.1

_WORDS = {
    "width": "width {}",
    "train_size": "{} images",
    "steps": "{} steps",
    "epochs": "{} epochs",
    "batch_size": "batch size {}",
}


@dataclass(frozen=True)
class Scale:
    """The smallest setting that can judge a claim.

    Attributes:
      source: the setting of the source.
      least: setting -> the smallest value, or a tuple of the allowed ones.
      flagfile: an experiment of that setting, or "".
    """

    source: str
    least: Mapping[str, Any] = field(default_factory=dict)
    flagfile: str = ""

    @property
    def note(self) -> str:
        """What the source has, and which experiment has it, in words."""
        run = f" {self.flagfile} has this setting." if self.flagfile else ""
        return f"The source: {self.source}.{run}"

    def lacking(self, members: pd.DataFrame) -> tuple[str, ...]:
        """What was run of the settings that fall short, in words; () if none does."""
        found = []
        for name, wanted in self.least.items():
            values, enough = members[name], 1 - 1e-6
            if name == "train_size":
                values, enough = trained_on(members), 1 - HELD_OUT
            if isinstance(wanted, tuple):
                wrong = values[~values.isin(wanted)]
            else:
                wrong = values[values.astype(float) < wanted * enough]
            if len(wrong):
                low = wrong.min()
                text = low if isinstance(low, str) else number(float(low))
                found.append(_WORDS.get(name, "{}").format(text))
        return tuple(found)


REPORT = Scale(
    "the report's network on all of CIFAR-10",
    {
        "dataset": ("cifar10",),
        "model": ("small_cnn",),
        "width": 1.0,
        "train_size": 50000,
    },
)
EASY = Scale("MNIST", {"dataset": ("mnist",)}, "experiments/mnist_easy.flags")
VGG = Scale(
    "a VGG of at least 13 layers with all its channels on CIFAR-10, 15000 steps",
    {
        "dataset": ("cifar10",),
        "model": ("vgg16",),
        "width": 1.0,
        "train_size": 50000,
        "steps": 15000,
    },
    "experiments/santurkar_vgg.flags",
)
LINEAR = Scale(
    "25 layers of 10 units, 10000 steps",
    {"model": ("deep_linear",), "train_size": 1000, "steps": 10000},
)
# ImageNet is out of reach, so W1 to W6 are claims on CIFAR-10.
RESNET = Scale(
    "a ResNet-50 on ImageNet, 100 epochs; on CIFAR-10, a ResNet-20 with all its "
    "channels and images, 10 epochs",
    {
        "dataset": ("cifar10",),
        "model": ("resnet20", "resnet56"),
        "width": 1.0,
        "train_size": 50000,
        "epochs": 10.0,
    },
)
