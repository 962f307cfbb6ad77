"""What flags and configurations share: the field of a setting, and groups of them."""

from dataclasses import dataclass, field
from typing import Any


def flag(default: Any, text: str) -> Any:
    """A field of a settings dataclass, with the help text of its flag."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How quantities are measured, the same while training and from checkpoints."""

    probe_etas: tuple[float, ...] = flag(
        (0.5, 1.0, 2.0, 4.0),
        "Lengths of the probes along the gradient, in learning rates.",
    )
    probe_images: int = flag(
        500,
        "Hessians and landscapes are of the loss over the first this many training "
        "images.",
    )
    probe_channels: tuple[int, ...] = flag(
        (0, 1, 2), "Channels whose activations are looked at."
    )
    probe_bins: int = flag(50, "Bins of an activation histogram.")
    probe_iterations: int = flag(20, "Lanczos iterations of a Hessian.")
    probe_samples: int = flag(10, "Random vectors for a Hessian's trace and density.")
