"""PyTorch's compiler on the eager script: ``torch.compile`` of the whole step."""

import logging
from functools import partial

from normlab.bench.contender import Contender
from normlab.bench.task import Task
from normlab.bench.torch_here import no_torch as why_not

__all__ = ["VARIANTS", "why_not"]


def contender(task: Task, *, channels_last: bool) -> Contender:
    """One learning rate at a time. The rate is a tensor, so nothing compiles twice.

    The batch is gathered before the compiled part, because CUDA graphs copy their
    inputs. They then copy a batch, not the dataset.

    On a GPU, this uses ``reduce-overhead``, the mode for small networks, which replays
    CUDA graphs. On a CPU, torch.compile generates C++ and needs a C++ compiler.
    """
    import torch

    from normlab.bench.torch_task import Trainer, device, one_by_one, watch_memory

    # Silence messages about untraced code.
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    torch.compiler.reset()  # otherwise earlier tasks count towards a limit
    memory = watch_memory(task, channels_last)
    cuda = device().type == "cuda"
    lr = torch.tensor(0.0, device=device())
    trainer = Trainer(task, channels_last, lr=lr, capturable=cuda)
    mode = "reduce-overhead" if cuda else None
    compiled = torch.compile(trainer.update, mode=mode)

    def step(picked_B):
        torch.compiler.cudagraph_mark_step_begin()
        # A copy: the next replay overwrites it.
        return compiled(*trainer.batch(picked_B)).clone()

    return one_by_one(task, trainer, step, memory=memory)


VARIANTS = {
    "NCHW": partial(contender, channels_last=False),
    "NHWC": partial(contender, channels_last=True),
}
