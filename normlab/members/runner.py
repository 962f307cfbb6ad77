"""Runs a function of one member over many, as many at once as fit in memory."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from normlab.members.chunks import MemberChunks, take
from normlab.members.memory import (
    Footprint,
    available_bytes,
    choose_member_chunk,
    out_of_memory,
    tree_bytes,
    working_bytes,
)
from normlab.members.over import OverMembers
from normlab.members.placement import Placement, choose_devices, padded
from normlab.members.platform import platform_here
from normlab.settings import DeviceSettings


class Runner:
    """``function``, mapped over a leading axis of some of its arguments.

        settings = DeviceSettings()
        runner = Runner(loss, (True, False), "map", count=8, settings=settings)
        losses_M = runner(params_M, batch)

    The program is compiled once, at the first call. Later calls must have the same
    shapes, except for the number of members.

    Args:
      function: a pure function of one member: ``function(*arguments, *shared)``.
      mapped: for each argument before the shared ones, whether it has the member axis.
      execution: ``vmap``, ``map`` or ``loop``, whatever ``settings`` say.
      count: the largest number of members in a call.
      settings: the devices, and the number of members at once.
      shared: arguments that are the same in every call. They are put on the devices
        once.
      at_once: the most members at once, unless ``settings`` give a number.
      advice: how to use less memory, for the error message if it runs out.
    """

    def __init__(
        self,
        function: Callable,
        mapped: Sequence[bool],
        execution: str,
        *,
        count: int,
        settings: DeviceSettings,
        shared: Sequence[Any] = (),
        at_once: int | None = None,
        advice: str = "a smaller --member_chunk needs less",
    ):
        local = jax.local_devices()
        self._function, self._mapped = function, (*mapped, *(False for _ in shared))
        self._count, self._asked, self._advice = count, settings.member_chunk, advice
        self._most = min(count, at_once or count) if self._asked == "auto" else count
        self._execution = execution
        some = choose_devices(
            settings.devices, self._most, len(local), platform_here(), execution
        )
        self._devices = local[:some]
        self._place = Placement(self._devices)
        self._free = available_bytes(self._devices) - self._copies(shared)
        self._shared = tuple(self._place.share(tree) for tree in shared)
        self._over = OverMembers(
            function, self._mapped, self._execution, placement=self._place
        )
        self._size = 0

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self._over.compile_seconds

    def share(self, tree: Any) -> Any:
        """Puts an argument without the member axis on every device, for many calls."""
        return self._place.share(tree)

    def size(self, *args: Any) -> int:
        """How many members run at once: as many as fit, in chunks of equal size.

        Args:
          args: the arguments of a call.
        """
        if not self._size:
            shapes = [
                jax.tree.map(lambda leaf, m=m: _shape(leaf, m), arg)
                for arg, m in zip((*args, *self._shared), self._mapped, strict=True)
            ]
            pairs = list(zip(shapes, self._mapped, strict=True))
            count_args = len(args)
            one = Footprint(
                tree_bytes([shape for shape, mapped in pairs if mapped]),
                working_bytes(self._function, *shapes),
            )
            free_bytes = self._free - self._copies(
                [shape for shape, mapped in pairs[:count_args] if not mapped]
            )
            size, _ = choose_member_chunk(
                self._asked,
                self._most,
                one,
                self._execution,
                max(free_bytes, 0),
                self._place.count,
            )
            size = -(-self._count // -(-self._count // size))
            self._size = padded(size, self._place.count)
        return self._size

    def __call__(self, *args: Any) -> Any:
        """The function's results, as numpy arrays with a leading member axis.

        Raises:
          UserError: a device ran out of memory.
        """
        size = self.size(*args)
        pairs = list(zip(args, self._mapped, strict=False))
        first = next(arg for arg, mapped in pairs if mapped)
        member_chunks = MemberChunks(jax.tree.leaves(first)[0].shape[0], size)
        results = []
        for places in member_chunks:
            arguments = [
                self._place.split(take(arg, places)) if mapped else self.share(arg)
                for arg, mapped in pairs
            ]
            with out_of_memory(f"out of memory with {size} at once; {self._advice}"):
                results.append(jax.device_get(self._over(*arguments, *self._shared)))
        return member_chunks.join(results)

    def _copies(self, tree: Any) -> int:
        """Bytes of a tree with one copy on each device."""
        return len(self._devices) * tree_bytes(tree)


def _shape(leaf: Any, mapped: bool) -> jax.ShapeDtypeStruct:
    """The shape of an argument, or of one member's part if it is mapped."""
    return jax.ShapeDtypeStruct(leaf.shape[mapped:], leaf.dtype)
