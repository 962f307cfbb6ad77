"""A task in PyTorch: what the PyTorch peers share. Imported only where torch is."""

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

# Else a shell's OMP_NUM_THREADS would slow these peers, and no other.
torch.set_num_threads(cores())


@lru_cache(maxsize=1)
def device() -> torch.device:
    """Where all PyTorch peers run; picked once."""
    return torch.device("cpu" if no_cuda() else "cuda")


def use_precision(precision: str) -> None:
    """Products and convolutions in ``float32`` or ``tf32``, on a GPU.

    Convolutions by the algorithm that cuDNN measures to be the best.
    """
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def synchronize() -> None:
    """Waits for all that the device was told to do."""
    if device().type == "cuda":
        torch.cuda.synchronize()


def watch_memory(task: Task, channels_last: bool) -> Callable[[], int | None]:
    """A function that says the peak of bytes allocated since, beyond those before.

    The training images are among those before. The allocator counts on CUDA alone; on
    a CPU the answer is None.
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
    """int64 (steps, batch size), on the device."""
    return torch.tensor(task.batches.astype(np.int64), device=device())


def make_network(task: Task, channels_last: bool = False) -> TorchNetwork:
    """The task's network on the device, with normlab's own initial parameters.

    It also makes the task's precision PyTorch's.
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
    """A network and its Adam; any member's start can be put into them, in place.

    Args:
      adam: options of ``torch.optim.Adam``; with a tensor as ``lr`` the learning rate
        is data, which compiled and captured steps need.
    """

    def __init__(self, task: Task, channels_last: bool, **adam: Any):
        self._rates = task.learning_rates
        self._images, self._labels = on_device(task.dataset, channels_last)
        self._network = make_network(task, channels_last)
        self._start = {k: v.clone() for k, v in self._network.state_dict().items()}
        self._adam = torch.optim.Adam(self._network.parameters(), **adam)

    def reset(self, part: int) -> None:
        """Puts member ``part`` back to its start."""
        self._network.load_state_dict(self._start)
        self._adam.zero_grad()
        for state in self._adam.state.values():
            for values in state.values():  # the count of steps and both moments
                values.zero_()
        for group in self._adam.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self._rates[part])
            else:
                group["lr"] = self._rates[part]
        synchronize()

    def step(self, picked_B: Tensor) -> Tensor:
        """One step on these images (int64); returns the loss before it."""
        return self.update(*self.batch(picked_B))

    def batch(self, picked_B: Tensor) -> tuple[Tensor, Tensor]:
        """The images of these numbers (int64), and their labels."""
        return self._images[picked_B], self._labels[picked_B]

    def update(self, x_NCHW: Tensor, labels_N: Tensor) -> Tensor:
        """One step on this batch; returns the loss before it."""
        self._adam.zero_grad()
        loss = F.cross_entropy(self._network(x_NCHW), labels_N)
        loss.backward()
        self._adam.step()
        return loss.detach()


def loop(task: Task, reset: Callable, step: Callable, **known: Any) -> Contender:
    """A contender that calls ``step(picked_B)`` once for every batch.

    Losses stay on the device until the end of a run, so that Python need not wait.

    Args:
      step: returns the loss, of a member or of all of them.
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
    """`loop` over one learning rate after another, all by one trainer."""
    parts = len(task.learning_rates)
    return loop(task, trainer.reset, step, parts=parts, **known)
