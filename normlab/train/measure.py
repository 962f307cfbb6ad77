"""Connects the quantities, which are pure functions, to a cell's network and data."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.errors import UserError
from normlab.norms import NORMS
from normlab.quantities import QUANTITIES, Point, Site, check, measure, needs
from normlab.settings import ProbeSettings
from normlab.train.network import Network
from normlab.train.optimizers import hyperparameters
from normlab.train.schedules import Rate
from normlab.train.state import TrainState, augment_key, noise_key, probe_key
from normlab.train.step import make_loss
from normlab.train.taps import TappedNorm

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
    """
    if NORMS[norm].blocks or not any(NORMS[other].blocks for other in norms):
        return tuple(names)
    return tuple(n for n in names if n not in QUANTITIES or not needs([n], "norm"))


def site_of(network: Network, settings: ProbeSettings) -> Site:
    """What is the same at every point of the cell. Traces the network once.

    Raises:
      UserError: the norm does not fit the network.
    """
    norm, entry = network.norm, NORMS[network.norm.kind]
    tapped = TappedNorm(norm)
    layers: list[str] = []
    calls: list[str] = []

    def note(call, args, kwargs, context):
        calls.extend(context.module.path[:1])
        return call(*args, **kwargs)

    def trace(x: jax.Array) -> None:
        watched = network.with_norm(tapped)
        with nn.intercept_methods(note):
            variables = watched.init(jax.random.key(0), x, statistics="batch")
        layers.extend(variables["params"])  # here still in the order of the calls

    images = jax.ShapeDtypeStruct((2, *network.image_shape), jnp.float32)
    try:
        jax.eval_shape(trace, images)
    except UserError as error:
        raise UserError(f"{norm.kind} on {network.name}: {error}") from error
    channels = {name: x.shape[-1] for name, x in tapped.before.items()}
    groups = None
    if entry.blocks:
        groups = {k: entry.blocks(norm.options, c) for k, c in channels.items()}
    return Site(
        settings=settings,
        layers=tuple(layers),
        norms=tuple(channels),
        channels=tuple(channels.values()),
        groups=groups,
        epsilon=norm.options.epsilon,
        running=entry.running,
        weights=tuple(
            _before(name, calls, layers) for name in channels if name in calls
        ),
    )


def _before(norm: str, calls: list[str], layers: list[str]) -> str:
    """The last layer with parameters that runs before the norm layer."""
    return [x for x in calls[: calls.index(norm)] if x in layers][-1]


def make_measure(
    names: Sequence[str], site: Site, network: Network
) -> Callable[..., Measured]:
    """``measure(snapshot, indices_B, data) -> {quantity: {field: array}}``, one member.

    The gradient and the loss use the batch ``indices_B`` of the snapshot's step, with
    that step's augmentation and noise, under batch statistics. Hessians use the first
    ``probe_images`` training images. The state does not change.

    Args:
      names: the quantities.
      site: what `site_of` returned for the network.

    Raises:
      UserError: one of the quantities cannot be measured on this network.
    """
    check(names, site)
    size, training_loss = site.settings.probe_images, network.loss
    batch_loss = make_loss(network.model, training_loss)

    def measured(snapshot: Snapshot, indices_B: jax.Array, data: dict) -> Measured:
        images, targets = data["train_x"], data["train_y"]
        x_NHWC = network.prepare(
            augment_key(snapshot.seed, snapshot.step), images[indices_B]
        )
        y = targets[indices_B]
        noise = noise_key(snapshot.seed, snapshot.step)

        def loss(params):
            return batch_loss(params, snapshot.batch_stats, x_NHWC, y, noise)[0]

        def tapped(params, moves):
            watch = TappedNorm(network.norm, moves)
            watched = make_loss(network.with_norm(watch), training_loss)
            value, _ = watched(params, snapshot.batch_stats, x_NHWC, y, noise)
            return value, (watch.before, watch.after)

        def fixed(statistics):
            x, y = network.scale(images[:size]), targets[:size]

            def of(params):
                variables = {"params": params, "batch_stats": snapshot.batch_stats}
                outputs: Any = network.model.apply(variables, x, statistics=statistics)
                return training_loss.over(training_loss.of_each(outputs, y))

            return of

        point = Point(
            site=site,
            params=snapshot.params,
            next_params=snapshot.next_params,
            lr=snapshot.lr,
            loss=loss,
            tapped=tapped,
            fixed={name: fixed(name) for name in site.statistics},
            key=probe_key(snapshot.seed, snapshot.step),
            initial=lambda: network.initial(snapshot.seed)["params"],
        )
        return measure(names, point)

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
