"""The second-order identity at every norm layer of a network, along the gradient.

docs/theory.md derives it, (14); Theorem 4.2 of Santurkar et al. 2018 is its case of
batch norm at epsilon = 0.
"""

import jax
import jax.numpy as jnp
from jax import Array

from normlab.quantities.bounds import bent, push_forward
from normlab.quantities.bounds_printed import at_unit_scale, last_of_theorem_4_2
from normlab.quantities.norm_layers import norm_layers
from normlab.quantities.point import Point
from normlab.quantities.trees import dot


def measure(point: Point) -> dict[str, Array]:
    """At every norm layer, arrays of shape (norm layers,); on the batch of the step.

    v = dL/dy is the gradient by the layer's whole input, and Hess and H the Hessians of
    the loss by the layer's input and by its output: terms across blocks are part of
    both sides.

    ``left``: <v, Hess v>, as measured; ``carried``: <u, H u> for the change u of the
    output along v; ``bent``: what the curvature of the norm itself adds, summed over
    blocks; ``right``: carried + bent, equal to left; ``relative_error``:
    |right - left| / size, the size being that of all terms on the right;
    ``theorem_4_2``: in the place of ``right`` the right side of Theorem 4.2 (its first
    relation) for batch norm and (21) for the others, summed over blocks: equal to left
    at epsilon = 0, and else neither equal nor a bound; ``theorem_error``: |theorem_4_2
    - left| / size;
    ``alignment_share``: of the blocks that have a gradient the share with
    <q, yhat> > 0, in which at epsilon = 0 the norm lowers the curvature.

    The errors and the share are NaN where a layer has no gradient. Costs three Hessian
    products a layer.
    """
    layers = norm_layers(point)
    layers_of = dict(zip(point.site.norms, layers, strict=True))
    along = {n: at.by_input for n, at in layers_of.items()}
    pushed = {n: push_forward(at.layer, at.by_input) for n, at in layers_of.items()}
    scaled = {n: at_unit_scale(at.layer, at.by_input) for n, at in layers_of.items()}
    left, carried, by_theorem = forms(point, along, pushed, scaled)
    bends = [bent(at.layer, at.by_output, at.by_input) for at in layers]
    added = jnp.stack([b.value.sum() for b in bends])
    size = abs(carried) + jnp.stack([b.size.sum() for b in bends])
    aligned = [(b.alignment > 0).sum() / (abs(b.alignment) > 0).sum() for b in bends]
    right = carried + added
    lowered = [last_of_theorem_4_2(x.layer, x.by_output, x.by_input) for x in layers]
    theorem = by_theorem - jnp.stack([term.sum() for term in lowered])
    return {
        "left": left,
        "right": right,
        "relative_error": abs(right - left) / size,
        "carried": carried,
        "bent": added,
        "theorem_4_2": theorem,
        "theorem_error": abs(theorem - left) / size,
        "alignment_share": jnp.stack(aligned),
    }


def forms(
    point: Point,
    before: dict[str, Array],
    after: dict[str, Array],
    other: dict[str, Array],
) -> tuple[Array, Array, Array]:
    """<v, Hess v> for each layer's direction before it, and <u, H u> for two after.

    Args:
      before, after, other: a direction for every norm layer, of its input's shape.

    Returns:
      Three arrays of shape (norm layers,).
    """
    names, taps = point.site.norms, point.taps
    still = jax.tree.map(jnp.zeros_like, (taps.before, taps.after))
    gradient = jax.grad(lambda moves: point.tapped(moves)[0])
    _, product = jax.linearize(gradient, still)
    count = len(names)

    def form(i: Array) -> Array:
        """One layer's, along one of the directions: all others stand still."""

        def alone(kind: int, name: str, direction: Array) -> Array:
            chosen = i == kind * count + names.index(name)
            moved = jnp.where(chosen, direction, jnp.zeros_like(direction))
            input_ = taps.before[name]
            return moved.reshape(input_.shape).astype(input_.dtype)

        moves = (
            {n: alone(0, n, before[n]) for n in names},
            {n: alone(1, n, after[n]) + alone(2, n, other[n]) for n in names},
        )
        return dot(moves, product(moves))

    # A loop, so that one product is compiled and not three for every layer.
    values = jax.lax.map(form, jnp.arange(3 * count))
    return values[:count], values[count : 2 * count], values[2 * count :]
