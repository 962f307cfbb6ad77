"""Python's keyword arguments as the settings of a sweep, with their types checked."""

import dataclasses
import difflib
import inspect
import os
import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.registry import allow_named
from normlab.run_options import RunOptions
from normlab.serialize import item_type
from normlab.settings import declared
from normlab.words import check_path, check_text

NAME = "normlab.run"
_KINDS = (SweepConfig, RunOptions)
_PATHS = ("out", "data_dir", "compilation_cache")
# What messages call a value of a type, and several.
_NOUNS = {
    str: ("a word", "words"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("True or False", "True and False"),
}


def settings(values: Mapping[str, Any]) -> tuple[SweepConfig, RunOptions]:
    """The configuration and the options of a sweep.

    Plugins that the values name may then be imported (`normlab.plugins`).

    Args:
      values: name of a setting -> value. An axis takes one value or a list (a tuple, a
        range, an array of NumPy or JAX, a column of pandas). Numbers of NumPy count as
        numbers: a float32 is the shortest decimal that it stands for.

    Raises:
      UserError: a setting is unknown, or has a value of another type or out of range.
    """
    specs = {spec.name: kind for kind in _KINDS for spec in dataclasses.fields(kind)}
    for name in values:
        if name not in specs:
            raise _unknown(name, specs)
    config, options = (
        kind(**{k: _value(kind, k, v) for k, v in values.items() if specs[k] is kind})
        for kind in _KINDS
    )
    allow_named(dataclasses.asdict(config))
    return config, options


def signature(*own: inspect.Parameter) -> inspect.Signature:
    """All settings as keywords with their defaults, after the ``own`` parameters."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    every = [
        inspect.Parameter(spec.name, keyword, default=spec.default)
        for kind in _KINDS
        for spec in dataclasses.fields(kind)
    ]
    return inspect.Signature([*own, *every])


def _unknown(name: str, known: Iterable[str]) -> UserError:
    near = difflib.get_close_matches(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else "help(normlab.run) has all"
    return UserError(f"{NAME}: unknown setting {name!r}; {hint}")


def _value(kind: type, name: str, value: Any) -> Any:
    """The value of a setting, as its dataclass has it.

    Raises:
      UserError: it has another type.
    """
    item, is_list = item_type(kind, name)
    one, more = _NOUNS[item]
    wanted = f"{one} or a list of {more}" if is_list else one
    plain = _plain(value)
    several = is_list and isinstance(plain, tuple)
    items = plain if several else (plain,)
    found = tuple(_item(kind, name, item, x) for x in items)
    if None in found:
        odd = reprlib.repr(items[found.index(None)]) + " in a list" * several
        raise UserError(f"{NAME}: {name} must be {wanted}, not {odd}")
    return found if is_list else found[0]


def _plain(value: Any) -> Any:
    """Python's own numbers and words; lists, ranges, arrays and columns as tuples."""
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind == "f" and array.itemsize < 8:
            # 0.001, not 0.0010000000474974513, which is the same in float32.
            decimals = [float(str(x)) for x in array.ravel()]
            array = np.array(decimals).reshape(array.shape)
        value = array.tolist()
    if isinstance(value, str | bytes | Mapping | Set | os.PathLike):
        return value
    return tuple(map(_scalar, value)) if isinstance(value, Iterable) else value


def _scalar(value: Any) -> Any:
    """An item of a list, which may itself be a number of NumPy."""
    return _plain(value) if isinstance(value, np.generic) else value


def _item(kind: type, name: str, item: type, value: Any) -> Any:
    """One value of a setting; None if it has another type.

    Raises:
      UserError: it is not text that can be stored, or not a path.
    """
    if item is str:
        return _text(kind, name, value)
    if isinstance(value, bool) or item is bool:
        return value if type(value) is item else None
    if item is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, item) else None


def _text(kind: type, name: str, value: Any) -> str | None:
    spec = kind.__dataclass_fields__[name]  # type: ignore[attr-defined]
    choices = declared(spec).choices
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # "auto" or a number; or one of the words "1", "2" and "inf".
    if is_number and (spec.default == "auto" or f"{value:g}" in choices):
        value = f"{value:g}" if value == value else str(value)
    if name in _PATHS and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        return None
    check_text(value)
    if name in _PATHS and value:
        check_path(name, value)
    return value
