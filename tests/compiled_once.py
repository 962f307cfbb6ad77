"""Programs built, traced and compiled once, however many tests run them."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax

from normlab.analysis import measure
from normlab.landscape import compute
from normlab.members.over import OverMembers, debugging
from normlab.models import CONVS, INITS, MODELS
from normlab.norms import NORMS
from normlab.sweep import cell_plan
from normlab.train import program
from tests import tiny

# What is kept, by what it was made from; for as long as the process lives.
_BUILT: dict[Any, Any] = {}
_COMPILED: dict[Any, tuple[Any, float, Callable]] = {}


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """While it lasts, what was traced is not traced again.

    The functions of one cell and dataset are built once in a process, and so are their
    programs. JAX keeps every compiled program for other processes (conftest.py).
    """
    with contextlib.ExitStack() as stack:
        build = _once(program.build_program)
        for user in (cell_plan, compute, tiny):
            stack.enter_context(mock.patch.object(user, "build_program", build))
        build = _once(program.build_measure)
        stack.enter_context(mock.patch.object(measure, "build_measure", build))
        compile_ = _shared(OverMembers._compile)
        stack.enter_context(mock.patch.object(OverMembers, "_compile", compile_))
        yield


def _once(build: Callable) -> Callable:
    """``build``, which returns what it did for an equal cell, dataset and the rest."""

    def built(config, dataset, *args, conv: str = "patches"):
        arrays = program.data_arrays(dataset).values()
        content = (hashlib.sha1(x.tobytes() + str(x.shape).encode()) for x in arrays)
        entries = (
            (MODELS, config.model),
            (INITS, config.init),
            (NORMS, config.norm),
            (CONVS, conv),
        )
        key = (
            build.__name__,
            config,
            dataset.name,
            *(one.hexdigest() for one in content),
            str(args),
            *(id(known.get(name)) for known, name in entries),
        )
        if _watched():
            return build(config, dataset, *args, conv=conv)
        if key not in _BUILT:
            _BUILT[key] = (
                build(config, dataset, *args, conv=conv),
                [known.get(name) for known, name in entries],  # so that ids stay theirs
            )
        return _BUILT[key][0]

    return built


def _shared(compile_: Callable) -> Callable:
    """``OverMembers._compile``, by which equal ones come to the same program."""

    def compiled(over: OverMembers, args) -> Any:
        if over.compiled is None and not _watched():
            place: Any = over._placement
            config: Any = jax.config
            key = (
                id(over._function),
                over._mapped,
                over._execution,
                over.block,
                over._donate,
                place and place._mesh,
                jax.tree.structure(args),
                *map(_kind, jax.tree.leaves(args)),
                config.jax_enable_x64,
            )
            if key not in _COMPILED:
                found = compile_(over, args)
                _COMPILED[key] = found, over.compile_seconds, over._function
            over.compiled, over.compile_seconds, _ = _COMPILED[key]
        return compile_(over, args)

    return compiled


def _watched() -> bool:
    """Whether JAX is told to look at how a program is traced or what it computes."""
    config: Any = jax.config
    return debugging() or config.jax_check_tracer_leaks


def _kind(leaf: Any) -> tuple:
    weak = getattr(leaf, "weak_type", False)
    return leaf.shape, leaf.dtype, weak, getattr(leaf, "sharding", None)
