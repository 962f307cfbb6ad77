"""One member at one point of its path: what every quantity is a function of."""

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
# What is added before and after each norm layer, by the layer's name.
Moves = tuple[dict[str, Array], dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class Site:
    """What is the same at every point of a cell.

    Attributes:
      settings: what the quantities measure with.
      layers: the top-level names of the parameters, in the order of the forward pass.
      norms: the names of the places where the network normalizes, in that order; the
        norm ``none`` has places too.
      channels: the number of channels at each of those places.
      groups: for each of those places the number of groups of a block, None for a
        whole batch (`normlab.quantities.bounds.Layer`); None where the norm is not of
        this kind.
      epsilon: what the norms add to the variance.
      running: whether the norm has running averages to evaluate with.
      weights: for each of those places the name of the layer whose output is
        normalized.
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
        """What the entries along an axis of a quantity stand for."""
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
        """The statistics under which the loss is a function of its own."""
        return ("batch", "running") if self.running else ("batch",)


# Eigenvalues of a Hessian that are kept at each end.
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
    """What a quantity is measured at: one member at one point of its path.

    The arrays of the member, and its losses, while a quantity is traced.

    All losses are means over a batch, in nats, of the same network; batch norm's
    running averages are read but never written.

    Attributes:
      site: what is static.
      params: theta_t.
      next_params: theta_{t+1}, where training went from here; None if nobody asked.
      lr: the learning rate of step t, scalar.
      loss: params -> the loss on the batch of step t, under its own statistics.
      tapped: (params, moves) -> (that loss, (inputs, outputs) of the norm layers),
        ``moves`` being added to the inputs and outputs.
      fixed: statistics -> (params -> the loss over ``probe_images``), the same
        images at every step; ``running`` only for a norm with running averages.
      key: for random vectors: a function of the member's seed and the step.
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
        """L(theta) and its gradient g, computed once whoever asks."""
        return jax.value_and_grad(self.loss)(self.params)

    @property
    def gradient(self) -> Params:
        return self.loss_and_gradient[1]

    @cached_property
    def line(self) -> Line:
        """The trial steps along the gradient, computed once whoever asks.

        One gradient for each eta, one after another: memory does not grow with them.
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

        Computed once whoever asks, the start vector being the same for all.
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
