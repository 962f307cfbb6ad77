"""PyTorch without Python overhead: a training step captured as one CUDA graph."""

import time
from functools import partial

from normlab.bench.contender import Contender
from normlab.bench.task import Task
from normlab.bench.torch_here import no_cuda as why_not

__all__ = ["VARIANTS", "why_not"]

# Before a capture, cuDNN must have selected algorithms and Adam must have its state.
_BEFORE_CAPTURE = 3


def contender(task: Task, *, channels_last: bool) -> Contender:
    """One learning rate at a time: the batch's indices go in, and the graph replays."""
    import torch

    from normlab.bench.torch_task import (
        Trainer,
        batches_of,
        device,
        one_by_one,
        watch_memory,
    )

    memory = watch_memory(task, channels_last)
    lr = torch.tensor(0.0, device=device())
    trainer = Trainer(task, channels_last, lr=lr, capturable=True, fused=True)
    begun = time.perf_counter()
    picked_B = batches_of(task)[0].clone()  # the graph reads its batch from here
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_BEFORE_CAPTURE):
            trainer.step(picked_B)
    torch.cuda.current_stream().wait_stream(side)
    trainer.reset(0)  # without gradients: the capture then makes its own
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = trainer.step(picked_B)
    seconds = time.perf_counter() - begun

    def step(batch_B):
        picked_B.copy_(batch_B)
        graph.replay()
        return loss.clone()  # the next replay overwrites it

    known = {"memory": memory, "compile_seconds": lambda: seconds}
    return one_by_one(task, trainer, step, **known)


VARIANTS = {
    "NCHW": partial(contender, channels_last=False),
    "NHWC": partial(contender, channels_last=True),
}
