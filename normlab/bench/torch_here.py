"""Whether PyTorch can run here; importing this imports neither it nor JAX."""

import importlib.util
from importlib import metadata


def no_torch() -> str | None:
    """Why PyTorch cannot be used; None where it can."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed (pip install 'normlab[bench]')"
    return None


def no_cuda() -> str | None:
    """Why PyTorch's CUDA cannot be used; None where it can.

    The peers run on the kind of device that JAX runs on: a GPU beside a CPU would
    compare devices and not programs.
    """
    if reason := no_torch():
        return reason
    import jax
    import torch

    if not torch.cuda.is_available():
        return "it needs a CUDA device"
    if jax.devices()[0].platform == "cpu":
        return "JAX runs on the CPU here, so the peers do too"
    return None


def torch_version() -> str | None:
    """The installed PyTorch's version; None where there is none."""
    return None if no_torch() else metadata.version("torch")
