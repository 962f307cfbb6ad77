"""The peer most users have: an eager PyTorch script, one learning rate at a time."""

from functools import partial

from normlab.bench.contender import Contender
from normlab.bench.task import Task
from normlab.bench.torch_here import no_torch as why_not

__all__ = ["VARIANTS", "why_not"]


def contender(task: Task, *, channels_last: bool, fused: bool = False) -> Contender:
    """A Python loop over steps, and over learning rates.

    Args:
      channels_last: the memory format of images and kernels.
      fused: Adam as one kernel a step, which is not PyTorch's default.
    """
    from normlab.bench.torch_task import Trainer, one_by_one, watch_memory

    memory = watch_memory(task, channels_last)
    trainer = Trainer(task, channels_last, fused=fused or None)
    return one_by_one(task, trainer, trainer.step, memory=memory)


VARIANTS = {
    "NCHW": partial(contender, channels_last=False),
    "NHWC": partial(contender, channels_last=True),
    "NHWC, fused": partial(contender, channels_last=True, fused=True),
}
