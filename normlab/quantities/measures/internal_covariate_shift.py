"""How the layers before one change its gradient (Santurkar et al. 2018, Def. 2.1)."""

import jax
import jax.numpy as jnp
from jax import Array

from normlab.quantities.point import Point
from normlab.quantities.trees import dot, norm, subtract


def measure(point: Point) -> dict[str, Array]:
    """For every layer i, arrays of shape (L,).

    G is the gradient by the parameters of layer i at theta_t; G' the same after all
    layers before i, and only those, took their step to theta_{t+1}. Both are on the
    batch of step t. ``difference``: |G - G'|; ``cosine``: of the angle between them;
    ``l2``: |G|; ``l2_after``: |G'|. A layer is a top-level entry of the parameters,
    so a norm's scale and bias are a layer of their own. The first layer has nothing
    before it: its difference is 0.
    """
    site, after = point.site, point.next_params
    assert after is not None  # the quantity is registered as one that needs it
    places = jnp.arange(len(site.layers))
    # The number of the layer that each leaf belongs to.
    number = {i: k for k, own in enumerate(site.layers.values()) for i in own}
    gradient = point.gradient  # outside of the loop: others share it

    def shifted(i: Array) -> tuple[Array, Array, Array]:
        pairs = enumerate(zip(after, point.params, strict=True))
        mixed = [jnp.where(number[j] < i, new, old) for j, (new, old) in pairs]
        _, other = point.slope(mixed)
        per_layer = [
            (norm(subtract(here, there)), dot(here, there), norm(there))
            for here, there in zip(
                site.by_layer(gradient), site.by_layer(other), strict=True
            )
        ]
        a, b, c = (jnp.stack(column)[i] for column in zip(*per_layer, strict=True))
        return a, b, c

    difference, inner, size = jax.lax.map(shifted, places)
    before = jnp.stack([norm(layer) for layer in site.by_layer(gradient)])
    return {
        "difference": difference,
        "cosine": inner / (before * size),
        "l2": before,
        "l2_after": size,
    }
