"""One member at one point of its path, which is the argument of every quantity."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from normlab.norms.taps import Moves, Place
from normlab.quantities.hessian import ritz_of
from normlab.quantities.lanczos import Ritz
from normlab.quantities.trees import dot, norm, step_along
from normlab.settings import ProbeSettings

# The parameters that are varied: the leaves of a pytree, in their order.
Params = list[Array]
Loss = Callable[[Params], Array]
Slope = Callable[[Params], tuple[Array, Params]]


@dataclasses.dataclass(frozen=True)
class Site:
    """What is the same at every point: the names of all that is measured there.

    Attributes:
      settings: the settings of measurements.
      layers: layer -> the positions of its leaves in `Point.params`, in the order of
        the forward pass.
      places: the places where the network normalizes, in that order.
      statistics: the names of the losses that Hessians are of (`Point.fixed`). Each of
        the statistics that batch norm can normalize with makes the loss another one.
      ordered: whether the order of the layers is known to be that of the forward pass.
    """

    settings: ProbeSettings
    layers: Mapping[str, tuple[int, ...]]
    places: tuple[Place, ...] = ()
    statistics: tuple[str, ...] = ("batch",)
    ordered: bool = True

    def labels(self, axis: str) -> tuple:
        """The labels of the entries along an axis of a quantity, one of `AXES`."""
        return self._labels[axis]

    @property
    def _labels(self) -> dict[str, tuple]:
        settings = self.settings
        return {
            "eta": settings.probe_etas,
            "layer": tuple(self.layers),
            "part": ("all", *self.layers),
            "norm_layer": self.norms,
            "side": ("before", "after"),
            "channel": settings.probe_channels,
            "bin": tuple(range(settings.probe_bins)),
            "statistics": self.statistics,
            "rank": tuple(range(1, RANKS + 1)),
            "node": tuple(range(settings.probe_iterations)),
            "sample": tuple(range(settings.probe_samples)),
        }

    @property
    def norms(self) -> tuple[str, ...]:
        """The names of `places`."""
        return tuple(place.name for place in self.places)

    @property
    def standardizes(self) -> bool:
        """Whether there are norm layers, and the identities of all of them hold."""
        return bool(self.places) and all(p.standardizes for p in self.places)

    def by_layer(self, tree: Params) -> list[Params]:
        """The leaves of each layer, of a tree like `Point.params`."""
        return [[tree[i] for i in places] for places in self.layers.values()]


# The number of eigenvalues of a Hessian to keep at each end.
RANKS = 3


# The axes that a quantity may have.
AXES = tuple(Site(ProbeSettings(), {})._labels)


class Line(NamedTuple):
    """The loss and its gradient after trial steps, at theta - eta lr g; shape (E,).

    Attributes:
      loss: L(theta - eta lr g).
      distance: eta lr |g|.
      difference: |g - g'|, g' the gradient there.
      norm: |g'|.
      cosine: of the angle between g and g'.
    """

    loss: Array
    distance: Array
    difference: Array
    norm: Array
    cosine: Array


class Taps(NamedTuple):
    """The norm layers on the batch of the step, by the layer's name; (N, ..., C) each.

    Attributes:
      before: inputs y.
      after: outputs z.
      by_before: dL/dy.
      by_after: dL/dz.
    """

    before: dict[str, Array]
    after: dict[str, Array]
    by_before: dict[str, Array]
    by_after: dict[str, Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """The argument of a quantity: one member at one point of its path.

    It has the arrays of the member, and its losses, while a quantity is traced.

    Attributes:
      site: the static part.
      params: theta_t: the leaves that are varied.
      next_params: theta_{t+1}, the next point of training; None if no quantity needs
        it.
      lr: the learning rate of step t, scalar; None if no quantity needs it.
      loss: params -> the loss on the batch of step t.
      slope: params -> that loss and its gradient, in the fastest way.
      tapped: moves -> (that loss at theta_t, (inputs, outputs) of the norm layers),
        where ``moves`` are added to the inputs and outputs.
      fixed: statistics -> (params -> the loss over the same examples at every step).
      key: for random vectors.
      leaf: the path of a parameter -> the parameter at theta_t, varied or not; None if
        there is none.
      initial: the same at theta_0; None if no quantity needs it.
      known: (L(theta), its gradient), if the caller has computed them.
    """

    site: Site
    params: Params
    next_params: Params | None
    lr: Array | None
    loss: Loss
    slope: Slope
    tapped: Callable[[Moves], tuple[Array, tuple[dict, dict]]]
    fixed: dict[str, Loss]
    key: Array
    leaf: Callable[[str], Array | None]
    initial: Callable[[str], Array | None] | None = None
    known: tuple[Array, Params] | None = None

    @cached_property
    def loss_and_gradient(self) -> tuple[Array, Params]:
        """L(theta) and its gradient g, computed once for all quantities."""
        if self.known is not None:
            return self.known
        return self.slope(self.params)

    @property
    def gradient(self) -> Params:
        return self.loss_and_gradient[1]

    @cached_property
    def line(self) -> Line:
        """The trial steps along the gradient, computed once for all quantities.

        The gradients of the etas are computed one after another, to save memory.
        """
        gradient, lr = self.gradient, self.lr
        assert lr is not None  # the quantity is registered as one that needs it
        size = norm(gradient)

        def trial_step(eta: Array) -> Line:
            there = step_along(self.params, gradient, -eta * lr)
            loss, other = self.slope(there)
            away = norm(jax.tree.map(jnp.subtract, gradient, other))
            length = norm(other)
            cosine = dot(gradient, other) / (size * length)
            return Line(loss, eta * lr * size, away, length, cosine)

        return jax.lax.map(
            trial_step, jnp.asarray(self.site.settings.probe_etas, size.dtype)
        )

    @cached_property
    def ritz(self) -> Ritz:
        """The Hessian of each loss in ``fixed`` by Lanczos' method; (S, k).

        Computed once for all quantities, with the same start vector for each loss.
        """
        iterations = self.site.settings.probe_iterations
        each_ritz = [
            ritz_of(self.fixed[name], self.params, self.key, iterations)
            for name in self.site.statistics
        ]
        return jax.tree.map(lambda *each: jnp.stack(each), *each_ritz)

    @cached_property
    def taps(self) -> Taps:
        """The norm layers' inputs and outputs with their gradients, in one pass."""

        def still(seen: dict[str, Array]) -> dict[str, Array]:
            return {k: jnp.zeros(v.shape, v.dtype) for k, v in seen.items()}

        _, (before, after) = jax.eval_shape(self.tapped, ({}, {}))
        moves = still(before), still(after)
        (by_before, by_after), (before, after) = jax.grad(self.tapped, has_aux=True)(
            moves
        )
        return Taps(before, after, by_before, by_after)
