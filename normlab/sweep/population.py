"""All members of a cell, with as many on the device at once as fit."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import Cell
from normlab.data.batches import batch_indices, current_order
from normlab.errors import one_line
from normlab.members.chunks import MemberChunks, take
from normlab.members.over import OverMembers, nan_is_a_result
from normlab.members.placement import Placement, padded
from normlab.sweep.regroup import regrouped
from normlab.train.optimizers import values_of
from normlab.train.program import Program
from normlab.train.state import TrainState

Metrics = dict[str, np.ndarray]


class Population:
    """The states of a cell's members, in member chunks of equal size.

    A single chunk stays on the device. Several chunks take turns, and wait in the
    host's memory.

    Args:
      program: the functions of one member.
      cell: the cell of the members.
      data: the arrays of the dataset, on the device.
      execution: ``vmap``, ``map`` or ``loop``.
      member_chunk: members on the devices at once, rounded up to a multiple of the
        number of devices.
      call_steps: the most steps of one call of `train`.
      devices: the devices that share the members; by default the first one.
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
    ):
        self._cell, self._call_steps = cell, call_steps
        self._place = Placement(devices or jax.local_devices()[:1])
        self._data = self._place.share(data)
        member_chunk = padded(member_chunk, self._place.count)
        self._member_chunks = MemberChunks(len(cell.members), member_chunk)
        place = self._place
        self._init = OverMembers(program.init, (True, True), "vmap", placement=place)
        self._train = OverMembers(
            program.call, (True, True, False, False), execution, (0,), place
        )
        self._evaluate = OverMembers(
            program.evaluate, (True, True, False), execution, placement=place
        )
        measure = program.probe.measure if program.probe else _nothing
        self._probe = OverMembers(
            measure, (True, True, False), execution, placement=place
        )
        self._channels = OverMembers(
            program.channels or _nothing,
            (True, True, False),
            execution,
            placement=place,
        )
        self._states: list[Any] = []

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        parts = self._init, self._train, self._evaluate, self._probe, self._channels
        return sum(part.compile_seconds for part in parts)

    @property
    def training_program(self) -> Any:
        """The compiled program of `train`; None before its first call."""
        return self._train.compiled

    def start(self) -> None:
        """Initialises every member."""
        for places in self._member_chunks:
            members = [self._cell.members[i] for i in places]
            seeds = jnp.array([member.seed for member in members], jnp.int32)
            values = values_of(members, self._cell.hyperparameters)
            self._keep(self._init(*self._place.split((seeds, values))))

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
        return self._member_chunks.join(
            [jax.device_get(state) for state in self._states]
        )

    def restore(self, state: TrainState) -> None:
        """Replaces every member's state by one that `state` returned earlier."""
        self._states = []
        for places in self._member_chunks:
            self._keep(self._place.split(take(state, places)))

    def train(self, step: int, count: int) -> Metrics:
        """Takes ``count`` steps, at most ``call_steps``, from ``step`` on.

        Returns:
          The batch metrics, each of shape (members, count).
        """
        batch_metrics, states, self._states = [], self._states, []
        for places, state in zip(self._member_chunks, states, strict=True):
            indices = self._indices(places, step, count)
            state, indices = self._place.split((state, indices))
            steps = self._place.share(jnp.int32(count))
            inputs = state, indices, steps, self._data
            with self._naming(places, step, self._train, inputs):
                state, metrics = self._train(*inputs)
            self._keep(state)
            batch_metrics.append(
                {k: np.asarray(v)[:, :count] for k, v in metrics.items()}
            )
        return self._member_chunks.join(batch_metrics)

    def evaluate(self, step: int) -> Metrics:
        """Evaluates every member after ``step`` updates; shapes are (members,)."""
        evaluations = []
        for places, state in zip(self._member_chunks, self._states, strict=True):
            state, rows = self._place.split((state, self._seen(places, step)))
            inputs = state, rows, self._data
            with self._naming(places, step, self._evaluate, inputs):
                evaluations.append(jax.device_get(self._evaluate(*inputs)))
        return self._member_chunks.join(evaluations)

    def probe(self, step: int) -> dict[str, Metrics]:
        """Measures the program's quantities at every member's current point.

        Returns:
          Quantity -> field -> array of shape (members, ...).
        """
        quantities = []
        for places, state in zip(self._member_chunks, self._states, strict=True):
            indices = self._indices(places, step, 1)[:, 0]
            state, indices = self._place.split((state, indices))
            with nan_is_a_result():
                quantities.append(
                    jax.device_get(self._probe(state, indices, self._data))
                )
        return self._member_chunks.join(quantities)

    def regroup(self, step: int) -> None:
        """Regroups the channels of every member's norms, each by its own grouping.

        It uses their statistics on the batch of ``step``, at the member's current
        point. The program's norms must take their groups from the state.
        """
        groups = self._cell.config.groups
        assert groups is not None
        states, self._states = self._states, []
        for places, state in zip(self._member_chunks, states, strict=True):
            indices = self._indices(places, step, 1)[:, 0]
            state, indices = self._place.split((state, indices))
            channel_statistics = jax.device_get(
                self._channels(state, indices, self._data)
            )
            members = [self._cell.members[i] for i in places]
            stats = regrouped(state.batch_stats, channel_statistics, members, groups)
            self._keep(replace(state, batch_stats=self._place.split(stats)))

    @contextlib.contextmanager
    def _naming(
        self, places: np.ndarray, step: int, function: OverMembers, inputs: tuple
    ) -> Iterator[None]:
        """Inside this context, an error of JAX's checks for NaN names the members.

        Raises:
          FloatingPointError: JAX found NaN or infinity in what ``function`` returns for
            ``inputs``.
        """
        try:
            yield
        except FloatingPointError as error:
            with nan_is_a_result():
                results = jax.device_get(function(*inputs))
            lost = _not_finite(results, len(places))
            members = [self._cell.members[i] for i in places[lost]]
            names = "; ".join(f"seed {one.seed}, lr {one.lr:g}" for one in members)
            said = one_line(error).rstrip(".")
            raise FloatingPointError(
                f"{said}, after step {step}, in the network of {names}. "
                "Without JAX_DEBUG_NANS and JAX_DEBUG_INFS the cell trains on. A "
                "smaller learning rate may keep it finite"
            ) from error

    def _seen(self, places: np.ndarray, step: int) -> np.ndarray:
        """int32 (members, train_eval_size): the training images to evaluate on."""
        config = self._cell.config
        count, size = config.train_eval_size, config.train_size
        seeds = [self._cell.members[i].seed for i in places]
        if config.train_eval == "fixed":
            return np.broadcast_to(
                np.arange(count, dtype=np.int32), (len(seeds), count)
            )
        order = config.batch_order
        now = [current_order(s, step, config.batch_size, size, order) for s in seeds]
        return np.stack(now)[:, :count]

    def _indices(self, places: np.ndarray, step: int, count: int) -> np.ndarray:
        """int32 (members, call_steps, batch size); ``count`` rows are used."""
        config = self._cell.config
        size, order = config.train_size, config.batch_order

        @lru_cache
        def of_seed(seed: int) -> np.ndarray:
            rows = batch_indices(seed, step, count, config.batch_size, size, order)
            return np.pad(rows, ((0, self._call_steps - count), (0, 0)))

        return np.stack([of_seed(self._cell.members[i].seed) for i in places])


def _not_finite(results: Any, count: int) -> np.ndarray:
    """The members, of ``count``, with a NaN in their results; if none, an infinity."""
    leaves = [
        x for x in jax.tree.leaves(results) if np.issubdtype(x.dtype, np.floating)
    ]
    for check in (np.isnan, np.isinf):
        rows = [check(leaf).reshape(len(leaf), -1).any(1)[:count] for leaf in leaves]
        if (bad := np.logical_or.reduce(rows)).any():
            return np.flatnonzero(bad)
    return np.arange(count)


def _nothing(state: TrainState, indices: jax.Array, data: Any) -> dict:
    return {}


def to_device(arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """The dataset on the device."""
    return {name: jnp.asarray(x) for name, x in arrays.items()}
