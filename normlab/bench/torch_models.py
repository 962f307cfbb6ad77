"""VGG-16 and ResNet-20 in PyTorch, for the peers, as a user would write them.

Convolutions before batch norm have no bias, which would change nothing. Layers have the
names of `normlab.models`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normlab.bench.torch_network import TorchNetwork, make_norm
from normlab.models.vgg import vgg16
from normlab.width import channels

_VGG16 = vgg16.keywords["blocks"]


class _Torch(nn.Module):
    """What both have: convolutions with their norms.

    Args:
      norm: ``none``, ``batch`` or ``group``; its options are those of `make_norm`.
      image_shape: (H, W, C) of an image.
      width: multiplies the channels of every layer but the last.
    """

    def __init__(
        self,
        norm: str,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        width: float = 1.0,
        **options: Any,
    ):
        super().__init__()
        self._width, self._inputs, self._convs = width, image_shape[2], 0
        self._norm, self._norm_options = norm, options

    def _add(self, features: int, stride: int = 1) -> None:
        """Adds the next 3x3 convolution, and its norm."""
        self._convs += 1
        outputs, i = channels(features, self._width), self._convs
        bias = self._norm != "batch"
        conv = nn.Conv2d(self._inputs, outputs, 3, stride, padding=1, bias=bias)
        self.add_module(f"conv{i}", conv)
        self.add_module(
            f"norm{i}", make_norm(self._norm, outputs, **self._norm_options)
        )
        self._inputs = outputs

    def _run(self, i: int, x_NCHW: Tensor) -> Tensor:
        return getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x_NCHW))


class TorchVGG(_Torch):
    """`normlab.models.vgg16`."""

    def __init__(
        self,
        norm: str,
        image_shape: tuple[int, int, int],
        classes: int,
        **options: Any,
    ):
        super().__init__(norm, image_shape, classes, **options)
        side = image_shape[0]
        if image_shape[:2] != (side, side) or side & (side - 1):
            raise NotImplementedError(f"no padded pool for {image_shape} images")
        for block in _VGG16:
            for features in block:
                self._add(features)
        # After five pools, or fewer for small images.
        self.dense1 = nn.Linear(self._inputs * max(side // 32, 1) ** 2, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits (N, classes)."""
        x, i = x_NCHW, 0
        for block in _VGG16:
            for _ in block:
                i += 1
                x = F.relu(self._run(i, x), inplace=True)
            if x.shape[-1] > 1:
                x = F.max_pool2d(x, 2)
        return self.dense1(x.permute(0, 2, 3, 1).flatten(1))


class TorchResNet(_Torch):
    """`normlab.models.resnet20`: shortcuts without parameters."""

    def __init__(
        self,
        norm: str,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        blocks: int,
        **options: Any,
    ):
        super().__init__(norm, image_shape, classes, **options)
        self._add(16)
        self._strides = []
        for stage, features in enumerate((16, 32, 64)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                self._strides.append(stride)
                self._add(features, stride)
                self._add(features)
        self.dense1 = nn.Linear(self._inputs, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits (N, classes)."""
        x, i = F.relu(self._run(1, x_NCHW), inplace=True), 1
        for stride in self._strides:
            y = F.relu(self._run(i + 1, x), inplace=True)
            y = self._run(i + 2, y)
            x = x[:, :, ::stride, ::stride]
            new = y.shape[1] - x.shape[1]
            x = F.relu(_padded(x, new) + y, inplace=True)
            i += 2
        return self.dense1(x.mean((2, 3)))


def _padded(x_NCHW: Tensor, new: int) -> Tensor:
    """``x_NCHW`` with so many channels of zeros behind its own."""
    return F.pad(x_NCHW, (0, 0, 0, 0, 0, new)) if new else x_NCHW


# By the name of the model in `normlab.models`.
NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "small_cnn": TorchNetwork,
    "vgg16": TorchVGG,
    "resnet20": partial(TorchResNet, blocks=3),
}


def load(network: nn.Module, params: Mapping[str, Any]) -> None:
    """Copies normlab's kernels and biases (numpy arrays) into ``network``."""
    with torch.no_grad():
        for name, values in params.items():
            if "kernel" not in values:
                continue  # a norm starts the same everywhere
            layer, kernel = getattr(network, name), torch.tensor(values["kernel"])
            # HWIO -> OIHW, or inputs x outputs -> outputs x inputs.
            kernel = kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
            layer.weight.copy_(kernel)
            if layer.bias is not None:
                layer.bias.copy_(torch.tensor(values["bias"]))
