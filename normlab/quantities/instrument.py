"""Connects any loss, of any pytree of parameters, to the quantities at one point."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from normlab.errors import UserError
from normlab.norms.taps import Moves, Place, Record, watching
from normlab.quantities import QUANTITIES, check, measure, needs_norms
from normlab.quantities.fixed import FixedLoss
from normlab.quantities.found import Found
from normlab.quantities.leaves import Where, chosen, layers_of, leaves_of
from normlab.quantities.point import Params, Point, Site
from normlab.settings import ProbeSettings

Loss = Callable[..., Any]


class Given(NamedTuple):
    """What a measurement is given: the arguments of what `normlab.probe` returns.

    ``initial`` may be a function that returns the parameters: it is called only if a
    quantity needs them. ``known`` are the loss and its gradient by ``params``, or None.
    """

    params: Any
    batch: Any
    aux: Any
    lr: Any
    next_params: Any
    key: Any
    initial: Any
    fixed_batch: Any
    known: Any = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instrument:
    """Measures quantities of one loss. Everything here is static.

    Attributes:
      loss: ``(params, batch[, aux])`` -> scalar.
      slope: ``(params, batch, aux)`` -> (loss, its gradient), if the caller has a
        faster way to them than `jax.value_and_grad`.
      settings: the settings of measurements.
      fixed: the losses that Hessians are of, by name, with the same arguments.
      chunk, where, layers: as in `normlab.probe`.
    """

    loss: Loss
    settings: ProbeSettings
    fixed: Mapping[str, Loss]
    slope: Callable[..., tuple[Array, Any]] | None = None
    chunk: int | None = None
    where: Where | None = None
    layers: tuple[str, ...] | None = None

    def measure(self, names: Sequence[str], given: Given) -> Found:
        """The quantities ``names`` at the point ``given``.

        Raises:
          UserError: a quantity needs something that the network lacks.
        """
        site = self.site(given, any(map(needs_norms, names)))
        check(names, site)
        found = measure(names, self.point(site, given))
        axes = dict.fromkeys(a for name in names for a in QUANTITIES[name].axes)
        return Found(found, {axis: site.labels(axis) for axis in axes})

    def site(self, given: Given, norms: bool) -> Site:
        """The names of what is measured; with the norm layers if ``norms``."""
        all_layers = layers_of(leaves_of(given.params), self.layers)
        varied = [i for i, yes in enumerate(chosen(given.params, self.where)) if yes]
        position = {leaf: i for i, leaf in enumerate(varied)}
        layers = {
            name: tuple(position[leaf] for leaf in leaves if leaf in position)
            for name, leaves in all_layers.items()
        }
        layers = {name: leaves for name, leaves in layers.items() if leaves}
        return Site(
            settings=self.settings,
            layers=layers,
            places=self._places(given) if norms else (),
            statistics=tuple(self.fixed),
            ordered=self.layers is not None or len(layers) < 2,
        )

    def point(self, site: Site, given: Given) -> Point:
        """The argument of every quantity."""
        paths = [leaf.path for leaf in leaves_of(given.params)]
        varied = chosen(given.params, self.where)
        leaves, tree = jax.tree.flatten(given.params)
        leaves = [jnp.asarray(leaf) for leaf in leaves]

        def pick(other: Any, what: str) -> Params:
            """The varied leaves of a tree like the parameters."""
            others = jax.tree.leaves(other)
            if list(map(jnp.shape, others)) != list(map(jnp.shape, leaves)):
                raise UserError(f"{what} has other shapes than params")
            return [
                jnp.asarray(x) for x, yes in zip(others, varied, strict=True) if yes
            ]

        def whole(params: Params) -> Any:
            new = iter(params)
            mixed = [
                next(new) if yes else x for x, yes in zip(leaves, varied, strict=True)
            ]
            return jax.tree.unflatten(tree, mixed)

        def loss(params: Params) -> Array:
            return _value(self.loss, whole(params), given.batch, given.aux)

        def slope(params: Params) -> tuple[Array, Params]:
            if self.slope is None:
                return jax.value_and_grad(loss)(params)
            value, gradient = self.slope(whole(params), given.batch, given.aux)
            return value, pick(gradient, "the gradient")

        def tapped(moves: Moves) -> tuple[Array, tuple[dict, dict]]:
            value, record = self._watched(given, moves)
            assert tuple(record.places) == site.norms
            return value, (record.before, record.after)

        def fixed(loss: Loss) -> FixedLoss:
            return FixedLoss(
                lambda params, batch: _value(loss, whole(params), batch, given.aux),
                given.fixed_batch,
                self.chunk,
            )

        def by_path(params: Any) -> Callable[[str], Array | None]:
            return dict(zip(paths, jax.tree.leaves(params), strict=True)).get

        def initial(path: str) -> Array | None:
            start = given.initial
            return by_path(start() if callable(start) else start)(path)

        known = given.known
        return Point(
            site=site,
            params=pick(given.params, "params"),
            next_params=None
            if given.next_params is None
            else pick(given.next_params, "next_params"),
            lr=None if given.lr is None else jnp.asarray(given.lr),
            loss=loss,
            slope=slope,
            tapped=tapped,
            fixed={name: fixed(loss) for name, loss in self.fixed.items()},
            key=given.key,
            leaf=by_path(given.params),
            initial=None if given.initial is None else initial,
            known=None if known is None else (known[0], pick(known[1], "the gradient")),
        )

    def check_call(self, params: Any, aux: Any) -> None:
        """Checks the arguments before they are traced.

        Raises:
          UserError: ``params`` has something else than arrays, or ``aux`` does not fit
            the loss.
        """
        chosen(params, self.where)
        for loss in (self.loss, *self.fixed.values()):
            try:
                inspect.signature(loss).bind(*_arguments(params, None, aux))
            except TypeError:
                takes = "needs aux" if aux is None else "takes no aux"
                name = getattr(loss, "__name__", "loss")
                raise UserError(
                    f"{name} {takes}: it must take (params, batch), or (params, batch, "
                    "aux) if measure(..., aux=...) is given"
                ) from None
            except ValueError:
                continue  # a callable without a signature

    def _places(self, given: Given) -> tuple[Place, ...]:
        """The norm layers, found by tracing the loss."""
        places: dict[str, Place] = {}

        def trace(given: Given) -> tuple[dict, dict]:
            _, record = self._watched(given, ({}, {}))
            places.update(record.places)
            return record.before, record.after

        jax.eval_shape(trace, given._replace(initial=None))
        return tuple(places.values())

    def _watched(self, given: Given, moves: Moves) -> tuple[Array, Record]:
        """The loss, and what the norm layers report."""
        loss: Loss = self.loss
        if isinstance(loss, jax.stages.Wrapped):
            loss = inspect.unwrap(loss)  # jit would hide the norm layers
        with watching(Record(moves)) as record:
            value = _value(loss, given.params, given.batch, given.aux)
        return value, record


def _arguments(params: Any, batch: Any, aux: Any) -> tuple:
    return (params, batch) if aux is None else (params, batch, aux)


def _value(loss: Loss, params: Any, batch: Any, aux: Any) -> Array:
    """The loss, which must be a scalar."""
    value = loss(*_arguments(params, batch, aux))
    if not hasattr(value, "shape") or value.shape != ():
        kind = f"a {type(value).__name__}"
        if hasattr(value, "shape"):
            kind = f"an array of shape {value.shape}"
        raise UserError(f"the loss returns {kind}; it must return a scalar alone")
    return value
