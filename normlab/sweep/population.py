"""All members of a cell, with as many on the device at once as fit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import Cell, Member
from normlab.members.chunks import MemberChunks, take
from normlab.members.over import nan_is_a_result
from normlab.members.placement import Placement, padded
from normlab.sweep.naming import naming
from normlab.sweep.picked import batches, seen
from normlab.sweep.programs import Programs, nothing
from normlab.sweep.regroup import regrouped
from normlab.train.optimizers import values_of
from normlab.train.program import Program
from normlab.train.state import TrainState

Metrics = dict[str, np.ndarray]


class Population:
    """The states of a cell's members, in member chunks of equal size.

    A single chunk stays on the device. Several chunks take turns, and wait in the
    host's memory. Members that are stopped (`stop`) keep their state, and cost no time.

    Args:
      program: the functions of one member.
      cell: the cell of the members.
      data: the arrays of the dataset, on the device.
      execution: ``vmap``, ``map`` or ``loop``.
      member_chunk: members on the devices at once, rounded up to a multiple of the
        number of devices.
      call_steps: the most steps of one call of `train`.
      devices: the devices that share the members; by default the first one.
      share: whether members of a seed share their images, under vmap.
    """

    def __init__(
        self,
        program: Program,
        cell: Cell,
        data: dict[str, jax.Array],
        *,
        execution: str,
        member_chunk: int,
        call_steps: int,
        devices: Sequence[Any] = (),
        share: bool = False,
    ):
        self._cell, self._call_steps, self._share = cell, call_steps, share
        self._place = Placement(devices or jax.local_devices()[:1])
        self._data = self._place.share(data)
        self._program, self._execution = program, execution
        # The members that are being trained, by number, and the state of the others.
        self._running = np.arange(len(cell.members))
        self._stopped: TrainState | None = None
        self._states: list[Any] = []
        self._spent_compiling = 0.0
        self._empty: dict[Callable, Any] = {}
        self._use(padded(member_chunk, self._place.count))

    def _use(self, member_chunk: int) -> None:
        """Cuts the running members into chunks, and makes programs for their size."""
        self._member_chunks = MemberChunks(len(self._running), member_chunk)
        self._programs = Programs(
            self._program, self._execution, self._place, self._together()
        )

    def _together(self) -> int:
        """How many neighbours have one seed and share their images."""
        if not self._share or self._execution != "vmap":
            return 1
        seeds = np.array([member.seed for member in self._of(self._running)])
        return self._member_chunks.alike(seeds, self._place.count)

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self._spent_compiling + self._programs.compile_seconds

    @property
    def running(self) -> np.ndarray:
        """The numbers of the members that are not stopped."""
        return self._running

    @property
    def training_program(self) -> Any:
        """The compiled program of `train`; None before its first call."""
        return self._programs.train.compiled

    def start(self) -> None:
        """Initialises every member, also if it was initialised before."""
        self.clear()
        for places in self._member_chunks:
            members = self._of(self._running[places])
            seeds = jnp.array([member.seed for member in members], jnp.int32)
            values = values_of(members, self._cell.hyperparameters)
            self._keep(self._programs.init(*self._place.split((seeds, values))))

    def clear(self) -> None:
        """Frees the states of the members."""
        self._states = []

    def _keep(self, state: TrainState) -> None:
        alone = len(self._member_chunks) == 1
        self._states.append(state if alone else jax.device_get(state))

    def shapes(self) -> TrainState:
        """The whole cell's state as shapes and types, for restoring."""
        count = len(self._cell.members)
        if not self._states:
            self.start()

        def whole(leaf):
            return jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype)

        return jax.tree.map(whole, self._states[0])

    def state(self) -> TrainState:
        """The whole cell's state as numpy arrays with a leading member axis."""
        parts = [jax.device_get(state) for state in self._states]
        if self._stopped is None:
            return self._member_chunks.join(parts)
        if not parts:
            return self._stopped
        running = self._member_chunks.join(parts)

        def put(stopped: np.ndarray, leaf: np.ndarray) -> np.ndarray:
            whole = stopped.copy()
            whole[self._running] = leaf
            return whole

        return jax.tree.map(put, self._stopped, running)

    def restore(self, state: TrainState, step: int | None = None) -> None:
        """Replaces every member's state by one that `state` returned earlier.

        Args:
          step: the updates done. Members that have done fewer were stopped.
        """
        steps = np.asarray(state.step)
        among = np.full(len(steps), True) if step is None else steps == step
        self._continue(state, np.flatnonzero(among))

    def stop(self, members: np.ndarray) -> None:
        """Stops members, by number. They keep the state that they have."""
        if len(members):
            self._continue(self.state(), np.setdiff1d(self._running, members))

    def _continue(self, state: TrainState, running: np.ndarray) -> None:
        self._running = running
        self._stopped = state if len(running) < len(self._cell.members) else None
        size = self._member_chunks.size
        enough = padded(max(len(running), 1), self._place.count)
        if enough <= size // 2:  # a smaller program is worth its compilation
            self._spent_compiling = self.compile_seconds
            self._use(enough)
        else:
            self._member_chunks = MemberChunks(len(running), size)
            self._programs.share(self._together())
        self._states = []
        for places in self._member_chunks:
            self._keep(self._place.split(take(state, self._running[places])))

    def _of(self, members: np.ndarray) -> list[Member]:
        return [self._cell.members[i] for i in members]

    def _indices(self, members: np.ndarray, step: int, count: int) -> np.ndarray:
        return batches(self._cell, members, step, count, self._call_steps)

    def _each(self, states: list[Any]) -> Iterator[tuple[np.ndarray, Any]]:
        """(the numbers of its members, its state) for each chunk."""
        for places, state in zip(self._member_chunks, states, strict=True):
            yield self._running[places], state

    def _of_all(self, parts: list[Any], function: Callable, member: Callable) -> Any:
        """The chunks' results as one tree over all members; NaN for stopped ones.

        If no member is running, the shapes of the results are traced.

        Args:
          function: the function of one member.
          member: makes its arguments besides the state.
        """
        if self._stopped is None:
            return self._member_chunks.join(parts)
        if not parts and function not in self._empty:
            one = jax.tree.map(lambda leaf: leaf[0], self._stopped)
            self._empty[function] = jax.eval_shape(function, one, *member())
        results = self._member_chunks.join(parts) if parts else self._empty[function]

        def spread(leaf: Any) -> np.ndarray:
            shape = leaf.shape[1:] if parts else leaf.shape
            whole = np.full((len(self._cell.members), *shape), np.nan, np.float32)
            if parts:
                whole[self._running] = leaf
            return whole

        return jax.tree.map(spread, results)

    def train(self, step: int, count: int) -> Metrics:
        """Takes ``count`` steps, at most ``call_steps``, from ``step`` on.

        Returns:
          The batch metrics, each of shape (members, count).
        """
        batch_metrics, states, self._states = [], self._states, []
        for places, state in self._each(states):
            indices = self._indices(places, step, count)
            state, indices = self._place.split((state, indices))
            steps = self._place.share(jnp.int32(count))
            inputs = state, indices, steps, self._data
            with naming(self._of(places), step, self._programs.train, inputs):
                state, metrics = self._programs.train(*inputs)
            self._keep(state)
            batch_metrics.append(
                {k: np.asarray(v)[:, :count] for k, v in metrics.items()}
            )

        batch_metrics = self._of_all(
            batch_metrics,
            self._metrics,
            lambda: (self._indices(np.arange(1), step, count)[0],),
        )
        return {name: values[:, :count] for name, values in batch_metrics.items()}

    def _metrics(self, state: TrainState, indices: jax.Array) -> Any:
        return self._program.call(state, indices, jnp.int32(1), self._data)[1]

    def evaluate(self, step: int) -> Metrics:
        """Evaluates every member after ``step`` updates; shapes are (members,)."""
        evaluations = []
        for places, state in self._each(self._states):
            state, rows = self._place.split((state, seen(self._cell, places, step)))
            inputs = state, rows, self._data
            with naming(self._of(places), step, self._programs.evaluate, inputs):
                evaluations.append(jax.device_get(self._programs.evaluate(*inputs)))
        return self._of_all(
            evaluations,
            self._program.evaluate,
            lambda: (seen(self._cell, [0], step)[0], self._data),
        )

    def probe(self, step: int) -> dict[str, Metrics]:
        """Measures the program's quantities at every member's current point.

        Returns:
          Quantity -> field -> array of shape (members, ...).
        """
        quantities = []
        for places, state in self._each(self._states):
            indices = self._indices(places, step, 1)[:, 0]
            state, indices = self._place.split((state, indices))
            with nan_is_a_result():
                quantities.append(
                    jax.device_get(self._programs.probe(state, indices, self._data))
                )
        probe = self._program.probe
        return self._of_all(
            quantities,
            probe.measure if probe else nothing,
            lambda: (self._indices(np.arange(1), step, 1)[0, 0], self._data),
        )

    def regroup(self, step: int) -> None:
        """Regroups the channels of every member's norms, each by its own grouping.

        It uses their statistics on the batch of ``step``, at the member's current
        point. The program's norms must take their groups from the state.
        """
        groups = self._cell.config.groups
        assert groups is not None
        states, self._states = self._states, []
        for places, state in self._each(states):
            indices = self._indices(places, step, 1)[:, 0]
            state, indices = self._place.split((state, indices))
            channel_statistics = jax.device_get(
                self._programs.channels(state, indices, self._data)
            )
            members = self._of(places)
            stats = regrouped(state.batch_stats, channel_statistics, members, groups)
            self._keep(replace(state, batch_stats=self._place.split(stats)))
