"""Connects the quantities, which are pure functions, to a cell's network and data."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from normlab.errors import UserError
from normlab.norms import NORMS
from normlab.norms.taps import Place, Record, watching
from normlab.quantities import Site, check, measure, needs
from normlab.quantities.instrument import Given, Instrument
from normlab.quantities.leaves import Leaf, layers_of, leaves_of
from normlab.settings import ProbeSettings
from normlab.train.network import Network
from normlab.train.optimizers import hyperparameters
from normlab.train.schedules import Rate
from normlab.train.state import TrainState, augment_key, noise_key, probe_key
from normlab.train.step import in_parts, make_loss

Measured = dict[str, dict[str, jax.Array]]


class Snapshot(NamedTuple):
    """One member at one step of training: a point of its path.

    Attributes:
      params, batch_stats: theta_t and the running averages.
      next_params: theta_{t+1}; {} if no quantity needs it.
      lr: the learning rate of this step, scalar.
      seed, step: integer scalars that determine batch, augmentation and noise.
    """

    params: Any
    batch_stats: Any
    next_params: Any
    lr: Any
    seed: Any
    step: Any


def askable(names: Sequence[str], norm: str, norms: Iterable[str]) -> tuple[str, ...]:
    """The quantities of ``names`` that are measured in a cell with ``norm``.

    Quantities that describe norm layers are skipped in cells without norm layers. If no
    cell has such layers (``norms`` are those of all cells), they are kept, so that a
    later check raises UserError.

    Raises:
      UserError: a quantity is unknown.
    """
    if NORMS[norm].blocks or not any(NORMS[other].blocks for other in norms):
        return tuple(names)
    return tuple(name for name in names if not needs([name], "norm"))


def site_of(network: Network, settings: ProbeSettings) -> Site:
    """What is the same at every point of the cell. Traces the network once.

    Raises:
      UserError: the norm does not fit the network.
    """
    layers: list[str] = []
    places: list[Place] = []
    leaves: list[Leaf] = []

    def trace(x: jax.Array) -> None:
        with watching(Record()) as record:
            variables = network.model.init(jax.random.key(0), x, statistics="batch")
        places.extend(record.places.values())
        layers.extend(variables["params"])  # here still in the order of the calls
        leaves.extend(leaves_of(variables["params"]))

    images = jax.ShapeDtypeStruct((2, *network.image_shape), jnp.float32)
    try:
        jax.eval_shape(trace, images)
    except UserError as error:
        raise UserError(f"{network.norm.kind} on {network.name}: {error}") from error
    return Site(
        settings=settings,
        layers=layers_of(leaves, layers),
        places=tuple(places),
        statistics=("batch", "running")
        if NORMS[network.norm.kind].running
        else ("batch",),
    )


def make_measure(
    names: Sequence[str], site: Site, network: Network, parts: int = 1
) -> Callable[..., Measured]:
    """``measure(snapshot, indices_B, data) -> {quantity: {field: array}}``, one member.

    The gradient and the loss use the batch ``indices_B`` of the snapshot's step, with
    that step's augmentation and noise, under batch statistics. Hessians use the first
    ``probe_images`` training images. The state does not change.

    Args:
      names: the quantities.
      site: what `site_of` returned for the network.
      parts: in how many parts a gradient is computed, see `in_parts`. They must not
        change it.

    Raises:
      UserError: one of the quantities cannot be measured on this network.
    """
    check(names, site)
    size, training_loss = site.settings.probe_images, network.loss
    batch_loss = make_loss(network.model, training_loss)
    loss_and_gradient = in_parts(
        jax.value_and_grad(batch_loss, has_aux=True), parts, training_loss.reduction
    )

    def loss(params: Any, batch: Any, aux: Any) -> jax.Array:
        batch_stats, noise = aux
        return batch_loss(params, batch_stats, *batch, noise)[0]

    def slope(params: Any, batch: Any, aux: Any) -> tuple[jax.Array, Any]:
        batch_stats, noise = aux
        (value, _), gradient = loss_and_gradient(params, batch_stats, *batch, noise)
        return value, gradient

    def fixed(statistics: str) -> Callable[..., jax.Array]:
        def of(params: Any, batch: Any, aux: Any) -> jax.Array:
            (x, y), (batch_stats, _) = batch, aux
            variables = {"params": params, "batch_stats": batch_stats}
            outputs: Any = network.model.apply(variables, x, statistics=statistics)
            return training_loss.over(training_loss.of_each(outputs, y))

        return of

    instrument = Instrument(
        loss=loss,
        slope=slope,
        settings=site.settings,
        fixed={name: fixed(name) for name in site.statistics},
    )

    def measured(snapshot: Snapshot, indices_B: jax.Array, data: dict) -> Measured:
        images, targets = data["train_x"], data["train_y"]
        seed, step = snapshot.seed, snapshot.step
        x_NHWC = network.prepare(augment_key(seed, step), images[indices_B])
        given = Given(
            params=snapshot.params,
            batch=(x_NHWC, targets[indices_B]),
            aux=(snapshot.batch_stats, noise_key(seed, step)),
            lr=snapshot.lr,
            next_params=snapshot.next_params or None,
            key=probe_key(seed, step),
            initial=lambda: network.initial(seed)["params"],
            fixed_batch=(network.scale(images[:size]), targets[:size]),
        )
        return measure(names, instrument.point(site, given))

    return measured


def make_probe(
    names: Sequence[str], measured: Callable[..., Measured], step: Callable, rate: Rate
) -> Callable[..., Measured]:
    """``probe(state, indices_B, data)``: `make_measure`'s function during training.

    If a quantity needs the next point, ``step`` computes it. ``rate`` is the schedule,
    the same as the step's.
    """

    def probe(state: TrainState, indices_B: jax.Array, data: dict) -> Measured:
        following = {}
        if needs(names, "next"):
            batch = data["train_x"][indices_B], data["train_y"][indices_B]
            following = step(state, batch)[0].params
        snapshot = Snapshot(
            params=state.params,
            batch_stats=state.batch_stats,
            next_params=following,
            lr=rate(hyperparameters(state.opt_state), state.step),
            seed=state.seed,
            step=state.step,
        )
        return measured(snapshot, indices_B, data)

    return probe
