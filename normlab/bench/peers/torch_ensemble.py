"""PyTorch's own way to train many networks at once: ``vmap`` over stacked parameters.

It uses ``torch.func`` (PyTorch's "model ensembling"): the gradient of one member is
vmapped, and one optimizer updates the stacked parameters.
"""

from normlab.bench.contender import Contender
from normlab.bench.task import Task
from normlab.bench.torch_here import no_torch as why_not

__all__ = ["VARIANTS", "why_not"]


def contender(task: Task) -> Contender:
    """All members at once, eager, from a Python loop over steps."""
    import torch
    from torch.func import (
        functional_call,
        grad_and_value,
        stack_module_state,
        vmap,
    )
    from torch.nn import functional as F

    from normlab.bench import torch_task

    memory = torch_task.watch_memory(task, channels_last=False)
    images, labels = torch_task.on_device(task.dataset, channels_last=False)
    network = torch_task.make_network(task)
    start, buffers = stack_module_state([network] * len(task.learning_rates))
    start = {name: value.detach() for name, value in start.items()}
    params = {name: value.clone() for name, value in start.items()}
    first_buffers = {name: value.clone() for name, value in buffers.items()}
    # PyTorch's optimizers take only one learning rate. So this one updates tensors of
    # zeros with a rate of 1, and each member adds the result times its own rate.
    moves = {name: torch.zeros_like(value) for name, value in params.items()}
    optimizer = torch_task.make_optimizer(task, moves.values(), 1.0, fused=True)
    rates_M = torch.tensor(task.learning_rates, device=images.device)
    rates = {k: rates_M.reshape(-1, *[1] * (v.ndim - 1)) for k, v in params.items()}

    def loss_of(params, buffers, x_NCHW, labels_N):
        with torch_task.as_asked(task.config.precision):
            logits = functional_call(network, (params, buffers), (x_NCHW,))
            return F.cross_entropy(logits, labels_N), buffers  # now updated

    gradients = vmap(grad_and_value(loss_of, has_aux=True), in_dims=(0, 0, None, None))

    def reset(part: int) -> None:
        del part  # there is one
        for name, value in start.items():
            params[name].copy_(value)
        buffers.update({k: v.clone() for k, v in first_buffers.items()})
        torch_task.restart(optimizer)
        torch_task.synchronize()

    def step(picked_B):
        grads, (losses_M, updated) = gradients(
            params, buffers, images[picked_B], labels[picked_B]
        )
        buffers.update(updated)
        for name, move in moves.items():
            # A fused step needs contiguous memory, which convolutions may not return.
            move.grad = grads[name].contiguous()
            move.zero_()
        optimizer.step()
        for name, move in moves.items():
            params[name].addcmul_(move, rates[name])
        return losses_M.detach()

    return torch_task.loop(task, reset, step, memory=memory)


VARIANTS = {"": contender}
