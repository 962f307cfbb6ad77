"""How quantities are measured, the same while training and from checkpoints."""

from dataclasses import dataclass

from normlab.settings.declare import flag

# Squared, the compiler would not survive the largest number that there is.
_MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How quantities are measured."""

    probe_etas: tuple[float, ...] = flag(
        (0.5, 1.0, 2.0, 4.0),
        "Lengths of the trial steps along the gradient, in learning rates.",
        above=0,
        float32=True,
    )
    probe_images: int = flag(
        500,
        "Hessians and landscapes are of the loss over the first this many training "
        "images.",
        low=1,
    )
    probe_channels: tuple[int, ...] = flag(
        (0, 1, 2), "Channels whose activations are looked at.", low=0
    )
    probe_bins: int = flag(50, "Bins of an activation histogram.", low=1, high=_MOST)
    probe_iterations: int = flag(
        20, "Lanczos iterations of a Hessian.", low=1, high=_MOST
    )
    probe_samples: int = flag(
        10, "Random vectors for a Hessian's trace and density.", low=2, high=_MOST
    )
