"""The peer most users have: a PyTorch script, one run after another."""

import importlib.util
from typing import Any

import numpy as np

from normlab.bench.task import Run, Task


def available() -> bool:
    """Whether PyTorch is installed (the extra ``bench``)."""
    return importlib.util.find_spec("torch") is not None


def torch_run(task: Task, *, channels_last: bool) -> Run:
    """Eager PyTorch: a Python loop over steps, and over learning rates.

    The images are standardised once, before the clock starts; parameters start from
    normlab's own, so that both sides can be seen to compute the same losses.
    """
    import torch
    from torch import nn
    from torch.nn import functional as F

    layout = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.from_numpy(task.images_NHWC().transpose(0, 3, 1, 2).copy())
    images = images.contiguous(memory_format=layout)
    labels = torch.from_numpy(task.dataset.train_y.astype(np.int64))
    batches = torch.from_numpy(task.batches().astype(np.int64))
    params = task.initial_params()
    config = task.cell.config

    def norm(features: int) -> nn.Module:
        if config.norm == "batch":
            momentum = 1 - config.norm_momentum
            return nn.BatchNorm2d(features, eps=config.epsilon, momentum=momentum)
        if config.norm == "group":
            return nn.GroupNorm(config.groups or 1, features, eps=config.epsilon)
        return nn.Identity()

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            height, width, channels = task.dataset.image_shape
            flat = 32 * (height // 4) * (width // 4)
            self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
            self.norm1 = norm(16)
            self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
            self.norm2 = norm(32)
            self.dense1 = nn.Linear(flat, 256)
            self.dense2 = nn.Linear(256, len(task.dataset.classes))

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
            x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
            # Channels last, as the dense kernel counts its inputs.
            x = x.permute(0, 2, 3, 1).flatten(1)
            return self.dense2(F.relu(self.dense1(x)))

    def network() -> nn.Module:
        made: Any = Network()
        with torch.no_grad():
            for name in ("conv1", "conv2"):
                kernel = torch.from_numpy(params[name]["kernel"].copy())
                getattr(made, name).weight.copy_(kernel.permute(3, 2, 0, 1))
                getattr(made, name).bias.copy_(torch.tensor(params[name]["bias"]))
            for name in ("dense1", "dense2"):
                kernel = torch.from_numpy(params[name]["kernel"].copy())
                getattr(made, name).weight.copy_(kernel.T)
                getattr(made, name).bias.copy_(torch.tensor(params[name]["bias"]))
        return made.to(memory_format=layout)

    def run() -> np.ndarray:
        losses = np.zeros((len(task.cell.members), task.steps), np.float32)
        for i, member in enumerate(task.cell.members):
            model = network()
            optimizer = torch.optim.Adam(model.parameters(), lr=member.lr)
            for t in range(task.steps):
                picked = batches[t]
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images[picked]), labels[picked])
                loss.backward()
                optimizer.step()
                losses[i, t] = float(loss.detach())
        return losses

    return run
