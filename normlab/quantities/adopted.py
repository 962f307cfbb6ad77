"""Quantities from outside the package."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jax import Array

from normlab.errors import UserError
from normlab.plugins import calling
from normlab.quantities.point import Point

_FIELD = re.compile(r"\w{1,60}")


def checked(
    measure: Callable[[Point], Any], name: str, axes: tuple[str, ...]
) -> Callable[[Point], dict[str, Array]]:
    """The function of a plugin, whose result is checked while it is traced.

    Raises (when called):
      UserError: it fails, or does not return arrays with these axes, by field.
    """
    says = f"--quantities={name}"

    def checked_measure(point: Point) -> dict[str, Array]:
        with calling("quantities", name):
            fields = measure(point)
        if not isinstance(fields, Mapping) or not fields:
            raise UserError(f"{says}: it must return a dict of arrays, by field")
        for field, value in fields.items():
            odd = not isinstance(field, str) or not _FIELD.fullmatch(field)
            if odd or field in ("member", "step", "cell", *axes):
                raise UserError(f"{says}: no field can be called {field!r}")
            if getattr(value, "ndim", None) != len(axes):
                shape = getattr(value, "shape", type(value).__name__)
                wanted = f"an array with the axes {', '.join(axes)}" if axes else "()"
                raise UserError(f"{says}: {field} has shape {shape}, not {wanted}")
        return dict(fields)

    return checked_measure
