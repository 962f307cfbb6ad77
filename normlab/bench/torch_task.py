"""A task in PyTorch, shared by the PyTorch peers. Importing this requires torch."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normlab.bench.contender import Contender
from normlab.bench.task import Task, standardised_NHWC
from normlab.bench.torch_here import no_cuda
from normlab.bench.torch_models import NETWORKS, load
from normlab.bench.torch_network import place
from normlab.data import Dataset
from normlab.members.placement import cores

# Otherwise the shell's OMP_NUM_THREADS would slow only these peers.
torch.set_num_threads(cores())


# Members that take turns are timed up to this number; more take the same time each.
_MOST_PARTS = 8


@lru_cache(maxsize=1)
def device() -> torch.device:
    """The device of all PyTorch peers, chosen once."""
    return torch.device("cpu" if no_cuda() else "cuda")


def use_precision(precision: str) -> None:
    """Sets the precision of float32 products on a GPU; see `as_asked` for bfloat16.

    cuDNN measures which convolution algorithm is fastest.
    """
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def as_asked(precision: str) -> torch.autocast:
    """A context in which a loss is computed: autocast for ``bfloat16``.

    Casts are not cached, because every step uses a parameter once, and a captured graph
    must cast again.
    """
    return torch.autocast(
        device().type,
        torch.bfloat16,
        enabled=precision == "bfloat16",
        cache_enabled=False,
    )


def make_optimizer(task: Task, params: Iterable[Tensor], lr: Any, **options: Any):
    """The task's optimizer: Adam, or SGD with momentum.

    Args:
      options: of ``torch.optim.Adam``; SGD takes those that it has.
    """
    if task.config.optimizer == "adam":
        return torch.optim.Adam(params, lr, **options)
    if task.config.optimizer == "momentum":
        options.pop("capturable", None)  # SGD always is
        momentum = task.cell.members[0].momentum
        return torch.optim.SGD(params, lr, momentum=momentum, **options)
    raise NotImplementedError(f"no optimizer {task.config.optimizer} here")


def restart(optimizer: torch.optim.Optimizer) -> None:
    """Zeros what an optimizer remembers: moments, and the count of steps."""
    for state in optimizer.state.values():
        for values in state.values():
            if values is not None:
                values.zero_()


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


def make_network(task: Task, channels_last: bool = False) -> nn.Module:
    """The task's network on the device, with normlab's own initial parameters.

    It also sets PyTorch's precision to that of the task.
    """
    use_precision(task.config.precision)
    config = task.config
    network = NETWORKS[config.model](
        config.norm,
        task.dataset.image_shape,
        len(task.dataset.classes),
        groups=config.groups or 1,
        epsilon=config.epsilon,
        decay=config.norm_momentum,
        width=config.width,
    )
    load(network, task.initial_params)
    return place(network, device(), channels_last)


class Trainer:
    """A network and its optimizer, which can be reset in place to any member's start.

    Args:
      task: the task.
      channels_last: the memory format.
      lr: the learning rate. Compiled and captured steps need a tensor, so that it is
        data.
      options: further options of `make_optimizer`.
    """

    def __init__(self, task: Task, channels_last: bool, lr: Any = 1e-3, **options: Any):
        self._rates, self._precision = task.learning_rates, task.config.precision
        self._images, self._labels = on_device(task.dataset, channels_last)
        self._network = make_network(task, channels_last)
        self._start = {k: v.clone() for k, v in self._network.state_dict().items()}
        params = self._network.parameters()
        self._optimizer = make_optimizer(task, params, lr, **options)

    def reset(self, part: int) -> None:
        """Resets the network and its optimizer to the start of member ``part``."""
        self._network.load_state_dict(self._start)
        self._optimizer.zero_grad()
        restart(self._optimizer)
        for group in self._optimizer.param_groups:
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
        self._optimizer.zero_grad()
        with as_asked(self._precision):
            loss = F.cross_entropy(self._network(x_NCHW), labels_N)
        loss.backward()
        self._optimizer.step()
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
    """`loop` over one learning rate after another, with a single trainer.

    Of many, some are trained: evenly spaced, with the first and the last.
    """
    count = len(task.learning_rates)
    trained = np.linspace(0, count - 1, min(count, _MOST_PARTS)).round().astype(int)

    def reset(part: int) -> None:
        trainer.reset(trained[part])

    known |= {"parts": len(trained), "trained": tuple(trained.tolist())}
    return loop(task, reset, step, **known)
