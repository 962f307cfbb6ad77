"""The compiled programs of a cell's members."""

from typing import Any

import jax

from normlab.members.over import OverMembers, init_execution
from normlab.members.placement import Placement
from normlab.train.program import Program
from normlab.train.state import TrainState


class Programs:
    """A cell's functions over its members. Each is compiled when it is first called.

    Args:
      program: the functions of one member.
      execution: ``vmap``, ``map`` or ``loop``.
      place: where the members are.
      together: how many neighbours have the same seed, and may share their images.
    """

    def __init__(
        self, program: Program, execution: str, place: Placement, together: int
    ):
        self._program, self._execution, self._place = program, execution, place
        self._spent = 0.0
        self.init = OverMembers(
            program.init, (True, True), init_execution(), placement=place, brief=True
        )
        self.train = self._trainer(together)
        self.evaluate, self.probe, self.channels = (
            OverMembers(function, (True, True, False), execution, placement=place)
            for function in (
                program.evaluate,
                program.probe.measure if program.probe else nothing,
                program.channels or nothing,
            )
        )

    def _trainer(self, together: int) -> OverMembers:
        program = self._program
        return OverMembers(
            program.call if together == 1 else program.call_of_seed,
            (True, True, False, False),
            self._execution,
            (0,),
            self._place,
            block=together,
        )

    def share(self, together: int) -> None:
        """From now on so many neighbours have the same seed."""
        if together != self.train.block:
            self._spent += self.train.compile_seconds
            self.train = self._trainer(together)

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        parts = self.init, self.train, self.evaluate, self.probe, self.channels
        return self._spent + sum(part.compile_seconds for part in parts)


def nothing(state: TrainState, indices: jax.Array, data: Any) -> dict:
    """What is measured of a cell that has no quantities."""
    return {}
