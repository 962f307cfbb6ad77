"""A task in PyTorch, shared by the PyTorch peers. Importing this requires torch."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from normlab.bench.contender import Contender
from normlab.bench.task import Task, standardised_NHWC
from normlab.bench.torch_here import no_cuda
from normlab.bench.torch_network import TorchNetwork, place
from normlab.data import Dataset
from normlab.members.placement import cores

# Otherwise the shell's OMP_NUM_THREADS would slow only these peers.
torch.set_num_threads(cores())


@lru_cache(maxsize=1)
def device() -> torch.device:
    """The device of all PyTorch peers, chosen once."""
    return torch.device("cpu" if no_cuda() else "cuda")


def use_precision(precision: str) -> None:
    """Sets the precision of products on a GPU: ``float32`` or ``tf32``.

    cuDNN measures which convolution algorithm is fastest.
    """
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def synchronize() -> None:
    """Waits until the device has finished all work."""
    if device().type == "cuda":
        torch.cuda.synchronize()


def watch_memory(task: Task, channels_last: bool) -> Callable[[], int | None]:
    """A function that returns the peak of bytes allocated since this call.

    Memory allocated before, including the training images, does not count. Only CUDA's
    allocator counts; on a CPU, the function returns None.
    """
    if device().type != "cuda":
        return lambda: None
    on_device(task.dataset, channels_last)
    synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return lambda: torch.cuda.max_memory_allocated() - before


@lru_cache(maxsize=2)
def on_device(dataset: Dataset, channels_last: bool) -> tuple[Tensor, Tensor]:
    """(standardised images as NCHW, float32; labels, int64), shared by the peers."""
    images = torch.from_numpy(standardised_NHWC(dataset)).to(device())
    images = images.permute(0, 3, 1, 2)  # NHWC in memory, which is channels last
    if not channels_last:
        images = images.contiguous()
    labels = torch.tensor(dataset.train_y.astype(np.int64), device=device())
    return images, labels


def batches_of(task: Task) -> Tensor:
    """The indices of the batches, int64 (steps, batch size), on the device."""
    return torch.tensor(task.batches.astype(np.int64), device=device())


def make_network(task: Task, channels_last: bool = False) -> TorchNetwork:
    """The task's network on the device, with normlab's own initial parameters.

    It also sets PyTorch's precision to that of the task.
    """
    use_precision(task.config.precision)
    config, params = task.config, task.initial_params
    network = TorchNetwork(
        config.norm,
        task.dataset.image_shape,
        len(task.dataset.classes),
        groups=config.groups or 1,
        epsilon=config.epsilon,
        decay=config.norm_momentum,
    )
    with torch.no_grad():
        for name in ("conv1", "conv2", "dense1", "dense2"):
            layer = getattr(network, name)
            kernel = torch.tensor(params[name]["kernel"])
            # HWIO -> OIHW, or inputs x outputs -> outputs x inputs.
            kernel = kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
            layer.weight.copy_(kernel)
            layer.bias.copy_(torch.tensor(params[name]["bias"]))
    return place(network, device(), channels_last)


class Trainer:
    """A network and its Adam, which can be reset in place to any member's start.

    Args:
      task: the task.
      channels_last: the memory format.
      adam: options of ``torch.optim.Adam``. Compiled and captured steps need a tensor
        as ``lr``, so that the learning rate is data.
    """

    def __init__(self, task: Task, channels_last: bool, **adam: Any):
        self._rates = task.learning_rates
        self._images, self._labels = on_device(task.dataset, channels_last)
        self._network = make_network(task, channels_last)
        self._start = {k: v.clone() for k, v in self._network.state_dict().items()}
        self._adam = torch.optim.Adam(self._network.parameters(), **adam)

    def reset(self, part: int) -> None:
        """Resets the network and Adam to the start of member ``part``."""
        self._network.load_state_dict(self._start)
        self._adam.zero_grad()
        for state in self._adam.state.values():
            for values in state.values():  # the step count and both moments
                values.zero_()
        for group in self._adam.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self._rates[part])
            else:
                group["lr"] = self._rates[part]
        synchronize()

    def step(self, picked_B: Tensor) -> Tensor:
        """Takes a step on the images with these indices; returns the loss before it."""
        return self.update(*self.batch(picked_B))

    def batch(self, picked_B: Tensor) -> tuple[Tensor, Tensor]:
        """The images with these indices (int64), and their labels."""
        return self._images[picked_B], self._labels[picked_B]

    def update(self, x_NCHW: Tensor, labels_N: Tensor) -> Tensor:
        """Takes one step on this batch; returns the loss before it."""
        self._adam.zero_grad()
        loss = F.cross_entropy(self._network(x_NCHW), labels_N)
        loss.backward()
        self._adam.step()
        return loss.detach()


def loop(task: Task, reset: Callable, step: Callable, **known: Any) -> Contender:
    """A contender that calls ``step(picked_B)`` once for every batch.

    Losses stay on the device until the end of a run, so Python does not wait.

    Args:
      step: takes one step and returns the loss of one or all members.
      known: further fields of `Contender`.
    """
    batches = batches_of(task)

    def train(steps: int) -> np.ndarray:
        losses = [step(picked_B) for picked_B in batches[:steps]]
        synchronize()
        return torch.stack(losses, dim=-1).reshape(-1, steps).cpu().numpy()

    return Contender(reset=reset, train=train, **known)


def one_by_one(
    task: Task, trainer: Trainer, step: Callable[[Tensor], Tensor], **known: Any
) -> Contender:
    """`loop` over one learning rate after another, with a single trainer."""
    parts = len(task.learning_rates)
    return loop(task, trainer.reset, step, parts=parts, **known)
