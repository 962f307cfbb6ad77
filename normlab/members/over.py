"""Runs one member's function over all members: by vmap, by map, or by a loop.

The three executions give the same numbers up to rounding. Which one is fastest depends
on the machine: vmap makes batched matrix products, which suit a GPU; map keeps one
member's parameters and activations in a CPU's cache.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from normlab.errors import UserError
from normlab.members.placement import Placement
from normlab.settings.devices import EXECUTIONS

# XLA's options for a CPU program that runs for a moment.
_BRIEFLY: dict[str, Any] = {"xla_backend_optimization_level": 1}


# With more channels in its widest layer, one network fills a GPU (docs/speed.md).
_NARROW = 64
# Kernels in Triton need this compute capability of an NVIDIA GPU.
_TRITON = 8.0


def platform_here() -> str:
    """``cpu``, ``gpu``, or ``gpu without Triton``, on which no Pallas kernel runs."""
    device = jax.local_devices()[0]
    if device.platform != "gpu":
        return device.platform
    try:
        new = float(device.compute_capability) >= _TRITON
    except (AttributeError, ValueError):  # not NVIDIA's, and not tried
        new = False
    return "gpu" if new else "gpu without Triton"


def choose_execution(
    asked: str, platform: str, channels: int = 0, conv: str = "auto"
) -> tuple[str, str]:
    """(execution, the reason): ``asked``, or for ``auto`` what suits ``platform``.

    Args:
      platform: as `platform_here` says it.
      channels: those of the network's widest layer; 0 if unknown.
      conv: the form of the convolutions that is asked for.
    """
    if asked != "auto":
        return asked, "as requested"
    if platform == "cpu":
        return "map", "auto: on a CPU, one member at a time stays in cache"
    if conv == "lax":
        return "map", "auto: of all members at once, the primitive is slow"
    if channels > _NARROW and conv == "auto":
        return "map", f"auto: one network of {channels} channels fills a {platform}"
    return "vmap", f"auto: on a {platform}, one batched program fills the device"


def choose_conv(execution: str, platform: str, channels: int = 0) -> str:
    """The form of convolutions (`normlab.models.CONVS`) that suits an execution.

    The primitive becomes a grouped convolution if kernels are mapped over members.

    Args:
      platform: as `platform_here` says it.
      channels: those of the network's widest layer; 0 if unknown.
    """
    if execution == "vmap":
        narrow = 0 < channels <= _NARROW
        return "pallas" if platform == "gpu" and narrow else "patches"
    return "direct" if platform == "cpu" else "lax"


def suits(conv: str, platform: str) -> bool:
    """Whether a form of convolutions is not far slower than others on a platform."""
    if platform == "cpu":
        return conv not in ("lax", "pallas")
    return conv != "pallas" or platform == "gpu"


class Way(NamedTuple):
    """How members are run.

    Attributes:
      conv: the form of the convolutions.
      at_once: members on the devices at once; 0: as many as fit in memory.
    """

    execution: str
    conv: str
    at_once: int = 0

    def __str__(self) -> str:
        some = f" of {self.at_once}" if self.at_once else ""
        return f"{self.execution}{some} with {self.conv}"

    @classmethod
    def read(cls, text: str) -> "Way":
        """The way of a text that `str` made.

        Raises:
          ValueError: it made no such text.
        """
        run, conv = text.split(" with ")
        execution, _, at_once = run.partition(" of ")
        return cls(execution, conv, int(at_once or 0))


def choose_way(
    execution: str, conv: str, platform: str, channels: int = 0
) -> tuple[Way, str]:
    """(the way, the reason): what is asked for, or for ``auto`` what suits.

    Args:
      channels: those of the network's widest layer; 0 if unknown.

    Raises:
      UserError: members of a seed are to share their images, one after another.
    """
    execution, why = choose_execution(execution, platform, channels, conv)
    if conv == "shared" and execution != "vmap":
        raise UserError(
            f"--conv=shared: members share nothing under {execution}; "
            "--execution=vmap runs them together"
        )
    if conv == "auto":
        conv = choose_conv(execution, platform, channels)
    return Way(execution, conv), why


def candidates(execution: str, conv: str, platform: str) -> tuple[Way, ...]:
    """The ways that may be fastest for some network, within what is asked for."""
    return tuple(
        way
        for way in _WAYS.get(platform, _OTHER_WAYS)
        if execution in ("auto", way.execution) and conv in ("auto", way.conv)
    )


# The primitive is left out where it is a hundred times slower (`models.conv_direct`).
_WAYS = {
    "cpu": (Way("map", "direct"), Way("map", "patches"), Way("vmap", "patches")),
    "gpu": (Way("vmap", "pallas"), Way("map", "lax"), Way("vmap", "patches")),
}
_OTHER_WAYS = Way("vmap", "patches"), Way("vmap", "shared"), Way("map", "lax")


def init_execution() -> str:
    """The execution of a function that runs once; on a CPU, map compiles fastest."""
    return "map" if jax.local_devices()[0].platform == "cpu" else "vmap"


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

    The program is compiled once, at the first call; later calls must have the same
    shapes. After that, ``compiled`` is the program (None before) and
    ``compile_seconds`` the time it took. If JAX is `debugging`, JAX compiles the
    function itself. It can then run it operation by operation, from the same arguments.
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
        cpu = jax.local_devices()[0].platform == "cpu"
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
            function = self._batched()
            if self._placement is not None and self._execution != "loop":
                function = self._placement.over_devices(function, self._mapped)
            if debugging():
                self.compiled = _watched(jax.jit(function))
                return self.compiled
            jitted = jax.jit(function, donate_argnums=self._donate)
            self.compiled = jitted.lower(*args).compile(self._options)
            self.compile_seconds = time.perf_counter() - start
        return self.compiled

    def _batched(self) -> Callable:
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
