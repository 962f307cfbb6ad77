"""The functions that a cell's program computes, and the memory that they need."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from normlab.cell import Cell
from normlab.data import Dataset
from normlab.members.memory import Footprint, tree_bytes
from normlab.train.optimizers import values_of
from normlab.train.program import Program, data_arrays

# A function of one member, and the shapes of its arguments.
Shaped = tuple[Callable, tuple]


def functions_of(
    program: Program, cell: Cell, dataset: Dataset, call_steps: int
) -> tuple[Shaped, ...]:
    """All functions that a program computes, with the shapes of their arguments.

    The first argument of each is the state.
    """
    values = values_of(cell.members[:1], cell.hyperparameters)
    scalars = {k: jax.ShapeDtypeStruct((), v.dtype) for k, v in values.items()}
    count = jax.ShapeDtypeStruct((), jnp.int32)
    indices = jax.ShapeDtypeStruct((call_steps, cell.config.batch_size), jnp.int32)
    evaluated = cell.config.train_eval_size + cell.config.validation
    seen = jax.ShapeDtypeStruct((evaluated,), jnp.int32)
    arrays = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype)
        for name, x in data_arrays(dataset).items()
    }
    state = jax.eval_shape(program.init, count, scalars)
    functions = [
        (program.call, (state, indices, count, arrays)),
        (program.evaluate, (state, seen, arrays)),
    ]
    batch = jax.ShapeDtypeStruct(indices.shape[1:], indices.dtype)
    if program.probe is not None:
        functions.append((program.probe.measure, (state, batch, arrays)))
    if program.channels is not None:
        functions.append((program.channels, (state, batch, arrays)))
    return tuple(functions)


def footprint_of(
    functions: tuple[Shaped, ...], count: Callable[..., int], measured: bool = False
) -> Footprint:
    """The bytes of a member, the working ones counted by ``count``."""
    working = max(count(function, *args) for function, args in functions)
    _, (state, *_) = functions[0]
    return Footprint(tree_bytes(state), working, measured)
