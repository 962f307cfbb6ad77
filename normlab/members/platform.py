"""The kind of the devices of this process, by which code is chosen."""

import jax

# Kernels in Triton need this compute capability of an NVIDIA GPU.
_TRITON = 8.0


def platform_here() -> str:
    """``cpu``, ``gpu``, or ``gpu without Triton``, on which no Pallas kernel runs."""
    device = jax.local_devices()[0]
    if device.platform != "gpu":
        return device.platform
    try:
        new = float(device.compute_capability) >= _TRITON
    except (AttributeError, ValueError):  # not NVIDIA's, and not tried
        new = False
    return "gpu" if new else "gpu without Triton"
