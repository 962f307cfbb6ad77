"""The report's network in PyTorch, for the peers. It does not use JAX."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normlab.width import channels


class TorchNetwork(nn.Module):
    """`normlab.models.small_cnn`, layer by layer under the same names.

    Args:
      norm: ``none``, ``batch`` or ``group``.
      image_shape: (H, W, C) of an image.
      groups, epsilon: settings of the norm.
      decay: the decay of the running averages, as in JAX; PyTorch's momentum is
        1 - decay.
      width: multiplies the channels of every layer but the last.
    """

    def __init__(
        self,
        norm: str,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        groups: int = 4,
        epsilon: float = 1e-5,
        decay: float = 0.99,
        width: float = 1.0,
    ):
        super().__init__()
        (height, side, colours), last = image_shape, channels(32, width)
        first, hidden = channels(16, width), channels(256, width)
        options = {"groups": groups, "epsilon": epsilon, "decay": decay}
        self.conv1 = nn.Conv2d(colours, first, 3, padding=1)
        self.norm1 = make_norm(norm, first, **options)
        self.conv2 = nn.Conv2d(first, last, 3, padding=1)
        self.norm2 = make_norm(norm, last, **options)
        if height % 4 or side % 4:
            raise NotImplementedError(f"no padded pool for {height}x{side} images")
        self.dense1 = nn.Linear(last * (height // 4) * (side // 4), hidden)
        self.dense2 = nn.Linear(hidden, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits (N, classes)."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x_NCHW))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        # Channels last, as the dense kernel counts its inputs.
        x = x.permute(0, 2, 3, 1).flatten(1)
        return self.dense2(F.relu(self.dense1(x)))


def make_norm(
    norm: str, features: int, *, groups: int, epsilon: float, decay: float
) -> nn.Module:
    """A norm layer; the arguments are those of `TorchNetwork`."""
    if norm == "batch":
        return nn.BatchNorm2d(features, eps=epsilon, momentum=1 - decay)
    if norm == "group":
        return nn.GroupNorm(groups, features, eps=epsilon)
    if norm == "none":
        return nn.Identity()
    raise NotImplementedError(f"no norm {norm} here")


def initialise(network: TorchNetwork) -> None:
    """normlab's ``--init=standard``: He et al. 2015, the last layer 1/fan-in."""
    for name in ("conv1", "conv2", "dense1", "dense2"):
        layer = getattr(network, name)
        gain = "linear" if name == "dense2" else "relu"
        nn.init.kaiming_normal_(layer.weight, nonlinearity=gain)
        nn.init.zeros_(layer.bias)


def place(network: nn.Module, device: torch.device, channels_last: bool) -> nn.Module:
    """Moves ``network`` to ``device``, with its kernels in the given memory format."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module: Any = network  # PyTorch's annotations leave memory_format out
    return module.to(device, memory_format=layout)
