"""The report's network in PyTorch, for the peers. It does not use JAX."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TorchNetwork(nn.Module):
    """`normlab.models.small_cnn`, layer by layer under the same names.

    Args:
      norm: ``none``, ``batch`` or ``group``.
      image_shape: (H, W, C) of an image.
      groups, epsilon: settings of the norm.
      decay: the decay of the running averages, as in JAX; PyTorch's momentum is
        1 - decay.
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
    ):
        super().__init__()
        height, width, channels = image_shape

        def make_norm(features: int) -> nn.Module:
            if norm == "batch":
                return nn.BatchNorm2d(features, eps=epsilon, momentum=1 - decay)
            if norm == "group":
                return nn.GroupNorm(groups, features, eps=epsilon)
            if norm == "none":
                return nn.Identity()
            raise NotImplementedError(f"no norm {norm} here")

        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
        self.norm1 = make_norm(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = make_norm(32)
        if height % 4 or width % 4:
            raise NotImplementedError(f"no padded pool for {height}x{width} images")
        self.dense1 = nn.Linear(32 * (height // 4) * (width // 4), 256)
        self.dense2 = nn.Linear(256, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits (N, classes)."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x_NCHW))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        # Channels last, as the dense kernel counts its inputs.
        x = x.permute(0, 2, 3, 1).flatten(1)
        return self.dense2(F.relu(self.dense1(x)))


def initialise(network: TorchNetwork) -> None:
    """normlab's ``--init=standard``: He et al. 2015, the last layer 1/fan-in."""
    for name in ("conv1", "conv2", "dense1", "dense2"):
        layer = getattr(network, name)
        gain = "linear" if name == "dense2" else "relu"
        nn.init.kaiming_normal_(layer.weight, nonlinearity=gain)
        nn.init.zeros_(layer.bias)


def place(
    network: TorchNetwork, device: torch.device, channels_last: bool
) -> TorchNetwork:
    """Moves ``network`` to ``device``, with its kernels in the given memory format."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module: Any = network  # PyTorch's annotations leave memory_format out
    return module.to(device, memory_format=layout)
