"""One member at one point of its path, which is the argument of every quantity."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from normlab.quantities.hessian import ritz_of
from normlab.quantities.lanczos import Ritz
from normlab.quantities.trees import dot, norm, step_along
from normlab.settings import ProbeSettings

Params = Any
Loss = Callable[[Params], Array]
# What to add before and after each norm layer, by the layer's name.
Moves = tuple[dict[str, Array], dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class Site:
    """What is the same at every point of a cell.

    Attributes:
      settings: the settings of measurements.
      layers: the top-level names of the parameters, in the order of the forward pass.
      norms: the names of the places where the network normalizes, in that order. The
        norm ``none`` has places, too.
      channels: the number of channels at each of these places.
      groups: for each of these places, the number of groups of an example, or None if a
        block spans the whole batch (`normlab.quantities.bounds.Layer`). None instead of
        the dict if the norm is not of this kind.
      epsilon: what the norms add to the variance.
      running: whether the norm has running averages for evaluation.
      weights: for each of these places, the layer whose output is normalized.
    """

    settings: ProbeSettings
    layers: tuple[str, ...]
    norms: tuple[str, ...]
    channels: tuple[int, ...]
    groups: Mapping[str, int | None] | None
    epsilon: float
    running: bool
    weights: tuple[str, ...] = ()

    def labels(self, axis: str) -> tuple:
        """The labels of the entries along an axis of a quantity."""
        settings = self.settings
        return {
            "eta": settings.probe_etas,
            "layer": self.layers,
            "part": ("all", *self.layers),
            "norm_layer": self.norms,
            "side": ("before", "after"),
            "channel": settings.probe_channels,
            "bin": tuple(range(settings.probe_bins)),
            "statistics": self.statistics,
            "rank": tuple(range(1, RANKS + 1)),
            "node": tuple(range(settings.probe_iterations)),
            "sample": tuple(range(settings.probe_samples)),
        }[axis]

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics that each make the loss another function."""
        return ("batch", "running") if self.running else ("batch",)


# The number of eigenvalues of a Hessian to keep at each end.
RANKS = 3


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

    All losses are means over a batch, in nats, of the same network. They read batch
    norm's running averages but never write them.

    Attributes:
      site: the static part.
      params: theta_t.
      next_params: theta_{t+1}, the next point of training; None if no quantity needs
        it.
      lr: the learning rate of step t, scalar.
      loss: params -> the loss on the batch of step t, with that batch's statistics.
      tapped: (params, moves) -> (that loss, (inputs, outputs) of the norm layers),
        where ``moves`` are added to the inputs and outputs.
      fixed: statistics -> (params -> the loss over ``probe_images``), the same images
        at every step. ``running`` exists only for a norm with running averages.
      key: for random vectors; it depends on the member's seed and the step.
      initial: () -> theta_0.
    """

    site: Site
    params: Params
    next_params: Params | None
    lr: Array
    loss: Loss
    tapped: Callable[[Params, Moves], tuple[Array, tuple[dict, dict]]]
    fixed: dict[str, Loss]
    key: Array
    initial: Callable[[], Params]

    @cached_property
    def loss_and_gradient(self) -> tuple[Array, Params]:
        """L(theta) and its gradient g, computed once for all quantities."""
        return jax.value_and_grad(self.loss)(self.params)

    @property
    def gradient(self) -> Params:
        return self.loss_and_gradient[1]

    @cached_property
    def line(self) -> Line:
        """The trial steps along the gradient, computed once for all quantities.

        The gradients of the etas are computed one after another, to save memory.
        """
        gradient = self.gradient
        size = norm(gradient)

        def trial_step(eta: Array) -> Line:
            there = step_along(self.params, gradient, -eta * self.lr)
            loss, other = jax.value_and_grad(self.loss)(there)
            away = norm(jax.tree.map(jnp.subtract, gradient, other))
            length = norm(other)
            cosine = dot(gradient, other) / (size * length)
            return Line(loss, eta * self.lr * size, away, length, cosine)

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

        def still(seen: dict[str, Any]) -> dict[str, Array]:
            return {k: jnp.zeros(v.shape, v.dtype) for k, v in seen.items()}

        none = ({}, {})
        _, (before, after) = jax.eval_shape(self.tapped, self.params, none)
        moves = still(before), still(after)
        (by_before, by_after), (before, after) = jax.grad(
            lambda moves: self.tapped(self.params, moves), has_aux=True
        )(moves)
        return Taps(before, after, by_before, by_after)
