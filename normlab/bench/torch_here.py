"""Whether PyTorch can run here; importing this imports neither it nor JAX."""

import importlib.util
from importlib import metadata


def no_torch() -> str | None:
    """Why PyTorch cannot be used, or None if it can."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed (pip install 'normlab[bench]')"
    return None


def no_cuda() -> str | None:
    """Why PyTorch cannot use CUDA, or None if it can.

    The peers run on the same kind of device as JAX. Otherwise the benchmark would
    compare devices, not programs.
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
    """The version of PyTorch, or None if it is not installed."""
    return None if no_torch() else metadata.version("torch")
