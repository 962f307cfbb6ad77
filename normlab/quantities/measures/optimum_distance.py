"""The distance from the start to an optimum, if training has reached one: Lemma 4.5.

Santurkar et al. 2018 (p. 10 and 25), in the form (18) of docs/theory.md, at the weights
before every norm layer.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from normlab.errors import UserError
from normlab.norms.taps import Place
from normlab.quantities.bounds_printed import lemma_4_5
from normlab.quantities.point import Point

# The names of a layer's weights, and their axis of outputs: in Flax, Haiku and Equinox.
_KERNELS = (("kernel", -1), ("w", -1), ("weight", 0))
_BIASES = ("bias", "b")


def measure(point: Point) -> dict[str, Array]:
    """At every norm layer, arrays of shape (norm layers,).

    W0 are the weights before the layer at initialisation, and W* those of this point,
    which is taken for an optimum. Weights that are scaled together are those of a
    channel, or with group and layer norm those of a group with their biases, which do
    not drop out there (24).

    ``left``: |W0 - k W*|^2, the squared distance to the nearest optimum on the rays of
    W*, summed over them; ``right``: what the lemma makes of |W0 - W*|^2;
    ``relative_error``: the largest |right - left| / |W0 - W*|^2 of a ray, 0 if W0 is
    W*; ``distance``: |W0 - W*|^2, summed; ``positive``: the share of rays with k > 0,
    which the lemma requires.

    Without a norm, the optimum at W* is ``distance`` away. The lemma says that with a
    norm there is another one at ``left``, which is not farther.
    """
    assert point.initial is not None  # registered as one that needs it
    rows = [
        _of(_rays(point.initial, place), _rays(point.leaf, place))
        for place in point.site.places
    ]
    return {field: jnp.stack([row[field] for row in rows]) for field in rows[0]}


def _rays(leaf: Callable[[str], Array | None], place: Place) -> Array:
    """The weights that are multiplied as one, (rays, D)."""
    found = ((leaf(f"{place.weights}/{name}"), axis) for name, axis in _KERNELS)
    kernel, axis = next((x for x in found if x[0] is not None), (None, 0))
    if kernel is None:
        raise UserError(
            f"optimum_distance: the weights before the norm layer {place.name} are not "
            "known; name the layer that has them as its kernel, w or weight "
            "(`normlab.tap`, weights=)"
        )
    bias = next(
        (b for n in _BIASES if (b := leaf(f"{place.weights}/{n}")) is not None), None
    )
    groups = place.groups
    channels = kernel.shape[axis]
    columns = jnp.moveaxis(kernel, axis, 0).reshape(channels, -1)
    if groups is None or groups == channels:  # the bias is subtracted with the mean
        return columns
    if bias is not None:
        columns = jnp.concatenate([columns, bias.reshape(channels, 1)], axis=1)
    return columns.reshape(groups, -1)


def _of(start_RD: Array, optimum_RD: Array) -> dict[str, Array]:
    """The fields of one layer, scalars."""
    lemma = lemma_4_5(start_RD, optimum_RD)
    distance = jnp.square(start_RD - optimum_RD).sum(-1)
    error = abs(lemma.right - lemma.left) / jnp.where(distance == 0, 1, distance)
    return {
        "left": lemma.left.sum(),
        "right": lemma.right.sum(),
        "relative_error": jnp.where(distance == 0, 0, error).max(),
        "distance": distance.sum(),
        "positive": (lemma.factor > 0).mean(),
    }
