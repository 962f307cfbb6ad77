"""How quantities are measured, during training and from the stored path alike."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.settings.declare import flag

# Programs may square such a size, and the compiler would crash at the largest int.
_MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How quantities are measured."""

    GROUP: ClassVar[str] = "measuring"

    probe_etas: tuple[float, ...] = flag(
        (0.5, 1.0, 2.0, 4.0),
        "Lengths of the trial steps along the gradient, in units of the learning rate.",
        above=0,
        float32=True,
    )
    probe_images: int = flag(
        500,
        "Use the first this many training images for the loss of Hessians and "
        "landscapes.",
        low=1,
    )
    probe_channels: tuple[int, ...] = flag(
        (0, 1, 2), "Channels whose activations are measured.", low=0
    )
    probe_bins: int = flag(50, "Bins of an activation histogram.", low=1, high=_MOST)
    probe_iterations: int = flag(
        20, "Lanczos iterations of a Hessian.", low=1, high=_MOST
    )
    probe_samples: int = flag(
        10, "Random vectors for a Hessian's trace and density.", low=2, high=_MOST
    )
