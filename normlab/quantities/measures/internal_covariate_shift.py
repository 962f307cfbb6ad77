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
    layers, after = point.site.layers, point.next_params
    assert after is not None  # the quantity is registered as one that needs it
    places = jnp.arange(len(layers))
    gradient = point.gradient  # outside of the loop: others share it

    def shifted(i: Array) -> tuple[Array, Array, Array]:
        mixed = {
            layer: jax.tree.map(
                lambda new, old, k=k: jnp.where(k < i, new, old),
                after[layer],
                point.params[layer],
            )
            for k, layer in enumerate(layers)
        }
        other = jax.grad(point.loss)(mixed)
        per_layer = [
            (
                norm(subtract(gradient[layer], other[layer])),
                dot(gradient[layer], other[layer]),
                norm(other[layer]),
            )
            for layer in layers
        ]
        a, b, c = (jnp.stack(column)[i] for column in zip(*per_layer, strict=True))
        return a, b, c

    difference, inner, size = jax.lax.map(shifted, places)
    before = jnp.stack([norm(gradient[layer]) for layer in layers])
    return {
        "difference": difference,
        "cosine": inner / (before * size),
        "l2": before,
        "l2_after": size,
    }
