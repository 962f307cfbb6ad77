"""Points made by hand: a quadratic of known curvature, no network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from normlab.quantities import Point, Site
from normlab.quantities.instrument import Given, Instrument
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
    layers = {name: (i,) for i, name in enumerate(LAYERS)}
    return Site(settings=ProbeSettings(**changes), layers=layers)


def point(loss, values, *, lr=0.1, following=None, where: Site | None = None) -> Point:
    """The point at the vector ``values``; ``following`` is the next one."""

    where = where or site()

    def of(params, batch):
        return loss(params)

    instrument = Instrument(loss=of, settings=where.settings, fixed={"batch": of})
    given = Given(
        params=tree(values),
        batch=None,
        aux=None,
        lr=lr,
        next_params=None if following is None else tree(following),
        key=jax.random.key(0),
        initial=lambda: tree(values),
        fixed_batch=None,
    )
    return instrument.point(where, given)
