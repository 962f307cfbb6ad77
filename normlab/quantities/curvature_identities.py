"""The second-order identity at every norm layer of a network, along the gradient.

docs/theory.md derives it, (14); Theorem 4.2 of Santurkar et al. 2018 is its case of
batch norm at epsilon = 0.
"""

import jax
import jax.numpy as jnp
from jax import Array

from normlab.quantities.bounds import bent, push_forward
from normlab.quantities.here import Here
from normlab.quantities.norm_layers import norm_layers
from normlab.quantities.trees import dot


def measure(here: Here) -> dict[str, Array]:
    """At every norm layer, arrays of shape (norm layers,); on the batch of the step.

    v = dL/dy is the gradient by the layer's whole input, and Hess and H the Hessians of
    the loss by the layer's input and by its output: terms across blocks are part of
    both sides.

    ``left``: <v, Hess v>, as measured; ``carried``: <u, H u> for the change u of the
    output along v; ``bent``: what the curvature of the norm itself adds, summed over
    blocks; ``right``: carried + bent, equal to left; ``relative_error``:
    |right - left| / size, the size being that of all terms on the right;
    ``alignment_share``: of the blocks that have a gradient the share with
    <q, yhat> > 0, in which at epsilon = 0 the norm lowers the curvature.

    The last two are NaN where a layer has no gradient. Costs two Hessian products a
    layer.
    """
    layers = norm_layers(here)
    layers_of = dict(zip(here.site.norms, layers, strict=True))
    along = {n: at.by_input for n, at in layers_of.items()}
    pushed = {n: push_forward(at.layer, at.by_input) for n, at in layers_of.items()}
    left, carried = forms(here, along, pushed)
    own = [bent(at.layer, at.by_output, at.by_input) for at in layers]
    added = jnp.stack([b.value.sum() for b in own])
    size = abs(carried) + jnp.stack([b.size.sum() for b in own])
    aligned = [(b.alignment > 0).sum() / (abs(b.alignment) > 0).sum() for b in own]
    right = carried + added
    return {
        "left": left,
        "right": right,
        "relative_error": abs(right - left) / size,
        "carried": carried,
        "bent": added,
        "alignment_share": jnp.stack(aligned),
    }


def forms(
    here: Here, before: dict[str, Array], after: dict[str, Array]
) -> tuple[Array, Array]:
    """<v, Hess v> for each layer's direction before it, and <u, H u> for that after.

    Args:
      before, after: a direction for every norm layer, of its input's shape.

    Returns:
      Two arrays of shape (norm layers,).
    """
    names, taps = here.site.norms, here.taps
    still = jax.tree.map(jnp.zeros_like, (taps.before, taps.after))
    gradient = jax.grad(lambda moves: here.tapped(here.params, moves)[0])
    _, product = jax.linearize(gradient, still)
    directions = jax.tree.map(
        lambda d, zero: d.astype(zero.dtype), (before, after), still
    )
    count = len(names)
    places = (
        {name: k for k, name in enumerate(names)},
        {name: count + k for k, name in enumerate(names)},
    )

    def form(i: Array) -> Array:
        """One layer's, on one side of it: all others stand still."""
        alone = jax.tree.map(
            lambda d, place: jnp.where(place == i, d, jnp.zeros_like(d)),
            directions,
            places,
        )
        return dot(alone, product(alone))

    # A loop, so that one product is compiled and not two for every layer.
    found = jax.lax.map(form, jnp.arange(2 * count))
    return found[:count], found[count:]
