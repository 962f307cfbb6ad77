"""Runs one member's function over all members: by vmap, by map, or by a loop."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from normlab.members.placement import Placement
from normlab.members.platform import platform_here
from normlab.settings.devices import EXECUTIONS

# XLA's options for a CPU program that runs for a moment.
_BRIEFLY: dict[str, Any] = {"xla_backend_optimization_level": 1}


def init_execution() -> str:
    """The execution of a function that runs once; on a CPU, map compiles fastest."""
    return "map" if platform_here() == "cpu" else "vmap"


def debugging() -> bool:
    """Whether JAX is set to look for NaN or infinity, or not to compile at all."""
    config: Any = jax.config
    return config.jax_debug_nans or config.jax_debug_infs or config.jax_disable_jit


def _watched(function: Callable) -> Callable:
    """``function``, with JAX's checks of its results active if they are switched on.

    JAX 0.10 skips the checks in a thread that has left a ``jax.debug_nans(False)``
    context, which its own functions use. Inside another such context it makes them.
    """

    def call(*args):
        config: Any = jax.config
        with (
            jax.debug_nans(config.jax_debug_nans),
            jax.debug_infs(config.jax_debug_infs),
        ):
            return function(*args)

    return call


@contextlib.contextmanager
def nan_is_a_result() -> Iterator[None]:
    """Inside this context JAX accepts NaN, which means "not defined" here."""
    with jax.debug_nans(False), jax.debug_infs(False):
        yield


class OverMembers:
    """``function`` of one member, over a leading member axis of some arguments.

    The program is compiled once, at the first call; later calls must have the same
    shapes. After that, ``compiled`` is the program (None before) and
    ``compile_seconds`` the time it took. If JAX is `debugging`, JAX compiles the
    function itself. It can then run it operation by operation, from the same arguments.

    Args:
      function: a pure function of one member.
      mapped: for each argument, whether it has the member axis (else it is shared).
      execution: ``vmap``, ``map`` or ``loop``.
      donate: positions of arguments whose buffers the results may reuse.
      placement: where the arguments are; by default on one device. A ``loop`` can use
        only one.
      brief: whether it runs for a moment only, so that a CPU should not optimise it
        for long. That changes no bits of results.
      block: if above 1, the ``function`` is of so many members at once, and has the
        member axis itself. The execution is ``vmap``, over the blocks.
    """

    def __init__(
        self,
        function: Callable,
        mapped: Sequence[bool],
        execution: str,
        donate: Sequence[int] = (),
        placement: Placement | None = None,
        brief: bool = False,
        block: int = 1,
    ):
        if execution not in EXECUTIONS:
            raise ValueError(
                f"execution must be one of {EXECUTIONS}, not {execution!r}"
            )
        self._function, self._mapped, self._execution = (
            function,
            tuple(mapped),
            execution,
        )
        self._donate, self._placement = tuple(donate), placement
        self.block = block
        cpu = platform_here() == "cpu"
        self._options: dict[str, Any] = _BRIEFLY if brief and cpu else {}
        self.compiled: Any = None
        self.compile_seconds = 0.0

    def __call__(self, *args):
        if self._execution == "loop":
            return self._loop(args)
        return self._compile(args)(*args)

    def _compile(self, args) -> Any:
        if self.compiled is None:
            start = time.perf_counter()
            function = self.batched()
            if self._placement is not None and self._execution != "loop":
                function = self._placement.over_devices(function, self._mapped)
            if debugging():
                self.compiled = _watched(jax.jit(function))
                return self.compiled
            jitted = jax.jit(function, donate_argnums=self._donate)
            self.compiled = jitted.lower(*args).compile(self._options)
            self.compile_seconds = time.perf_counter() - start
        return self.compiled

    def batched(self) -> Callable:
        """The function of all members, before it is compiled."""
        if self._execution == "loop":
            return self._function
        if self._execution == "vmap":
            axes = tuple(0 if mapped else None for mapped in self._mapped)
            batched = jax.vmap(self._function, in_axes=axes)
            return batched if self.block == 1 else self._over_blocks(batched)

        def one_after_another(*args):
            def one(mapped_args):
                rest = iter(mapped_args)
                full = (
                    next(rest) if mapped else arg
                    for arg, mapped in zip(args, self._mapped, strict=True)
                )
                return self._function(*full)

            pairs = zip(args, self._mapped, strict=True)
            return jax.lax.map(one, [arg for arg, mapped in pairs if mapped])

        return one_after_another

    def _over_blocks(self, batched: Callable) -> Callable:
        def cut(leaf):
            return leaf.reshape(-1, self.block, *leaf.shape[1:])

        def joined(leaf):
            return leaf.reshape(-1, *leaf.shape[2:])

        def of_all(*args):
            pairs = list(zip(args, self._mapped, strict=True))
            (members, *_) = jax.tree.leaves([a for a, m in pairs if m])[0].shape
            if members == self.block:
                # An axis of length 1 would make XLA move the kernels of dense layers.
                return self._function(*args)
            blocks = [jax.tree.map(cut, arg) if m else arg for arg, m in pairs]
            return jax.tree.map(joined, batched(*blocks))

        return of_all

    def _loop(self, args):
        pairs = list(zip(args, self._mapped, strict=True))
        count = jax.tree.leaves([arg for arg, mapped in pairs if mapped])[0].shape[0]

        def member(i: int) -> list:
            def take(leaf):
                return leaf[i]

            return [jax.tree.map(take, a) if mapped else a for a, mapped in pairs]

        results = []
        for i in range(count):
            one = member(i)
            results.append(self._compile(one)(*one))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
