"""Quantities by name: what can be measured at a point of a path.

A quantity is a pure function of a `Point`: one member's parameters, its losses and its
gradient, which all quantities share. `normlab.probe` measures them for any loss. To
add one, write a file in ``measures/`` with ``measure(point) -> {field: array}``, and a
line in `QUANTITIES` with the axes of these arrays.
"""

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from jax import Array

from normlab.errors import UserError
from normlab.quantities.adopted import checked
from normlab.quantities.measures import (
    activation_histogram,
    activation_moments,
    curvature_identities,
    effective_smoothness,
    gradient_lipschitz,
    gradient_norm,
    gradient_predictiveness,
    hessian_bottom,
    hessian_density,
    hessian_top,
    hessian_trace,
    identities,
    internal_covariate_shift,
    loss_range,
    optimum_distance,
    parameter_norm,
)
from normlab.quantities.point import AXES, Point, Site
from normlab.registry import Registry

__all__ = ["QUANTITIES", "Point", "Quantity", "Site", "check", "measure"]


class Quantity(NamedTuple):
    """An entry of `QUANTITIES`.

    Attributes:
      measure: the function; every array it returns has the axes below.
      axes: the names of the axes; `Site.labels` gives the labels along each of them.
      needs: some of ``lr`` (the learning rate), ``next`` (the next point of the path),
        ``initial`` (the parameters before training), ``order`` (of the layers, in the
        forward pass), ``norm`` (norm layers whose identities are known) and ``matfree``
        (the package).
    """

    measure: Callable[[Point], dict[str, Array]]
    axes: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()


NEEDS = ("lr", "next", "initial", "order", "norm", "matfree")
_CHANNELS = ("norm_layer", "side", "channel")
_LR = frozenset({"lr"})
_NEXT = frozenset({"next"})
_NORM = frozenset({"norm"})
_MATFREE = frozenset({"matfree"})
_NODES = ("statistics", "sample", "node")


def _adopt(found: Any, name: str) -> Quantity:
    """The entry of a plugin: a `Quantity`, or a function of a `Point` to scalars."""
    quantity = found if isinstance(found, Quantity) else Quantity(found)
    if not callable(quantity.measure):
        raise UserError(
            f"--quantities={name}: a quantity is a function of a Point, or a Quantity, "
            f"not a {type(found).__name__}"
        )
    for what, given, known in (
        ("axis", quantity.axes, AXES),
        ("need", quantity.needs, NEEDS),
    ):
        for one in given:
            if one not in known:
                raise UserError(
                    f"--quantities={name}: unknown {what} {one!r}; known: "
                    f"{', '.join(known)}"
                )
    return quantity._replace(measure=checked(quantity.measure, name, quantity.axes))


QUANTITIES = Registry(
    "quantities",
    {
        "gradient_norm": Quantity(gradient_norm.measure, ("part",)),
        "parameter_norm": Quantity(parameter_norm.measure, ("part",)),
        "loss_range": Quantity(loss_range.measure, (), _LR),
        "gradient_predictiveness": Quantity(gradient_predictiveness.measure, (), _LR),
        "effective_smoothness": Quantity(effective_smoothness.measure, ("eta",), _LR),
        "gradient_lipschitz": Quantity(gradient_lipschitz.measure, (), _NEXT),
        "internal_covariate_shift": Quantity(
            internal_covariate_shift.measure, ("layer",), _NEXT | {"order"}
        ),
        "activation_moments": Quantity(activation_moments.measure, _CHANNELS),
        "activation_histogram": Quantity(
            activation_histogram.measure, (*_CHANNELS, "bin")
        ),
        "identities": Quantity(identities.measure, ("norm_layer",), _NORM),
        "curvature_identities": Quantity(
            curvature_identities.measure, ("norm_layer",), _NORM
        ),
        "optimum_distance": Quantity(
            optimum_distance.measure, ("norm_layer",), _NORM | {"initial"}
        ),
        "hessian_top": Quantity(hessian_top.measure, ("statistics", "rank"), _MATFREE),
        "hessian_bottom": Quantity(
            hessian_bottom.measure, ("statistics", "rank"), _MATFREE
        ),
        "hessian_trace": Quantity(hessian_trace.measure, ("statistics",)),
        "hessian_density": Quantity(hessian_density.measure, _NODES, _MATFREE),
    },
    _adopt,
)


def needs(names: Iterable[str], what: str) -> bool:
    """Whether one of the quantities needs ``what``."""
    return any(what in QUANTITIES[name].needs for name in names)


def needs_norms(name: str) -> bool:
    """Whether a quantity looks at the inputs and outputs of norm layers."""
    return "norm" in QUANTITIES[name].needs or "norm_layer" in QUANTITIES[name].axes


def check_names(names: Iterable[str]) -> None:
    """Checks that quantities exist, and that the packages they need are installed.

    Raises:
      UserError: a name is unknown, or a package is not installed.
    """
    for name in names:
        quantity = QUANTITIES.find(name)
        if "matfree" in quantity.needs and importlib.util.find_spec("matfree") is None:
            raise UserError(
                f"{name} needs the package matfree: pip install 'normlab[curvature]'"
            )


def check(names: Iterable[str], site: Site) -> None:
    """Checks that all of the quantities can be measured at ``site``.

    Raises:
      UserError: as `check_names`, or a quantity needs something that the network lacks.
    """
    names = tuple(names)
    check_names(names)
    for name in names:
        quantity = QUANTITIES[name]
        if "norm" in quantity.needs and not site.standardizes:
            raise UserError(
                f"{name} is about batch, group, layer or instance norm, and the "
                "network has no such layer"
            )
        if "order" in quantity.needs and not site.ordered:
            raise UserError(
                f"{name} needs the order of the layers in the forward pass: "
                f"layers=[...], of {list(site.layers)}"
            )
        most = max((place.channels for place in site.places), default=0)
        if "channel" in quantity.axes and not site.places:
            raise UserError(f"{name}: the network has no norm layers")
        for channel in (
            site.settings.probe_channels if "channel" in quantity.axes else ()
        ):
            if channel >= most:
                raise UserError(
                    f"--probe_channels={channel}: the widest layer has {most} channels"
                )


def measure(names: Iterable[str], point: Point) -> dict[str, dict[str, Array]]:
    """Quantity -> field -> array, at one point of one member."""
    return {name: QUANTITIES[name].measure(point) for name in names}
