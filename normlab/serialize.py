"""Converts frozen dataclasses to JSON and back, and refuses JSON that does not fit."""

import json
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from normlab.errors import UserError
from normlab.settings import earlier, stored, stored_names, without_none

T = TypeVar("T")


def to_json(config: Any) -> str:
    """A dataclass of settings as JSON, by stored names, in the order of its fields."""
    return json.dumps(stored(config), indent=2)


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """Rebuilds the dataclass ``kind`` from the values that `to_json` wrote.

    A setting that was added after ``values`` were written gets the value that runs had
    without it (`normlab.settings.earlier`).

    Raises:
      UserError: a field is missing or unknown, or a value is of another type.
    """
    values = {**earlier(kind), **values}
    hints = get_type_hints(kind)
    names = stored_names(kind)
    if set(names.values()) != set(values):
        odd = ", ".join(sorted(set(names.values()) ^ set(values)))
        raise UserError(
            f"not a {kind.__name__} of this version of normlab: fields {odd}"
        )
    values = {field: values[name] for field, name in names.items()}
    for name, value in values.items():
        if not _is_a(value, hints[name]):
            raise UserError(f"not a {kind.__name__}: {name} is {value!r}")
    is_tuple = {name: get_origin(hints[name]) is tuple for name in names}
    return kind(**{k: tuple(v) if is_tuple[k] else v for k, v in values.items()})


def _is_a(value: Any, hint: Any) -> bool:
    """Whether ``value``, read from JSON, has the type ``hint``."""
    if get_origin(hint) is tuple:
        items = isinstance(value, list | tuple)
        return items and all(_is_a(item, get_args(hint)[0]) for item in value)
    if get_args(hint):
        return any(_is_a(value, one) for one in get_args(hint))
    return type(value) is hint or (hint is float and type(value) is int)


def item_type(kind: type, name: str) -> tuple[type, bool]:
    """The type of a field, without None, and whether the field is a tuple of it."""
    hint = get_type_hints(kind)[name]
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    return without_none(hint), False
