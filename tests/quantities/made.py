"""Points made by hand: a quadratic of known curvature, no network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.quantities import Point, Site
from normlab.settings import ProbeSettings

LAYERS = ("first", "second", "third")
SIZE = 4  # parameters a layer


def matrix(seed: int = 0) -> np.ndarray:
    """A symmetric 12 x 12 matrix with eigenvalues of both signs."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(12, 12))
    return (a + a.T) / 2


def tree(values) -> dict[str, Any]:
    """A vector of 12 as the parameters of three layers."""
    return {
        name: {"w": jnp.asarray(values)[SIZE * i : SIZE * (i + 1)]}
        for i, name in enumerate(LAYERS)
    }


def vector(params) -> jax.Array:
    return jnp.concatenate([params[name]["w"] for name in LAYERS])


def quadratic(a):
    """params -> x' A x / 2."""

    def loss(params):
        x = vector(params)
        return x @ jnp.asarray(a, x.dtype) @ x / 2

    return loss


def site(**changes: Any) -> Site:
    return Site(
        settings=ProbeSettings(**changes),
        layers=LAYERS,
        norms=(),
        channels=(),
        groups=None,
        epsilon=1e-5,
        running=False,
    )


def point(loss, values, *, lr=0.1, following=None, where: Site | None = None) -> Point:
    """The point at the vector ``values``; ``following`` is the next one."""

    def nothing(params, moves):
        return loss(params), ({}, {})

    return Point(
        site=where or site(),
        params=tree(values),
        next_params=None if following is None else tree(following),
        lr=jnp.asarray(lr),
        loss=loss,
        tapped=nothing,
        fixed={"batch": loss},
        key=jax.random.key(0),
        initial=lambda: tree(values),
    )
