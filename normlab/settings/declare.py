"""How a setting is declared, and what follows from a declaration."""

import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from normlab.registry import REGISTRIES

# Stored runs name a setting that has always been there.
ALWAYS: Any = object()
# In `Setting.read_by`: the first value of the axis.
FIRST: Any = object()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """All that is known of a setting, but for its name, type and default.

    Attributes:
      help: the text of its flag, without its choices and its axis.
      axis: ``static`` for an axis of a sweep whose values are compiled programs of
        their own (cells), ``member`` for one whose values are data to one program; None
        for a setting that has one value in a whole sweep.
      values: the default values of the axis, where they are several.
      choices: the values that it may have, or the name of the `Registry` that has them
        (their names are then checked where the entries are known).
      low, high: the least and the greatest number that it may be.
      above, below: numbers that it must be above, below.
      float32: whether networks compute with it, in float32, which must then tell its
        values apart.
      before: its value in runs that were stored before the setting came.
      stored_as: its name in stored runs and in the ids of cells, if it was renamed.
      read_by: the registries (``norm``, ``model``, ``optimizer``) whose entries say
        whether they read it, each with the value that the setting has in a cell whose
        entry does not; all cells read a setting without any.
      in_label: whether the label of a cell's norm shows it.
    """

    help: str
    axis: Literal["static", "member"] | None = None
    values: tuple = ()
    choices: tuple[str, ...] | str = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    float32: bool = False
    before: Any = ALWAYS
    stored_as: str = ""
    read_by: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    in_label: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """The names it may have, as far as the registry that has them is imported."""
        if isinstance(self.choices, str):
            return tuple(REGISTRIES.get(self.choices, ()))
        return self.choices

    @property
    def text(self) -> str:
        """The help of its flag, with its choices and its axis."""
        sentences = [self.help]
        if self.known:
            sentences.append(f"Known: {', '.join(self.known)}.")
        if self.axis:
            sentences.append(f"({self.axis.capitalize()} axis.)")
        return " ".join(sentences)


def flag(default: Any, help: str, **declaration: Any) -> Any:
    """A field of a settings dataclass.

    Args:
      default: its default; a tuple for a setting that is a list.
      help: the text of its flag.
      declaration: the other attributes of its `Setting`.
    """
    setting = Setting(help=help, **declaration)
    return dataclasses.field(default=default, metadata={"setting": setting})


def declared(spec: dataclasses.Field) -> Setting:
    """The declaration of a field that `flag` made."""
    return spec.metadata["setting"]


def settings_of(kind: Any) -> Iterator[tuple[dataclasses.Field, Setting]]:
    """The fields of a dataclass (or an instance) that `flag` made, in order."""
    for spec in dataclasses.fields(kind):
        if "setting" in spec.metadata:
            yield spec, declared(spec)


def named(kind: Any, **wanted: Any) -> tuple[str, ...]:
    """The names of the settings of ``kind`` whose declarations have these attributes.

    ``named(CellConfig, axis="static")`` are the static axes.
    """
    return tuple(
        spec.name
        for spec, setting in settings_of(kind)
        if all(getattr(setting, name) == value for name, value in wanted.items())
    )


def stored_names(kind: Any) -> dict[str, str]:
    """Field -> its name in stored runs, for every field of a dataclass, in order."""
    return {
        spec.name: declared(spec).stored_as or spec.name
        for spec in dataclasses.fields(kind)
    }


def stored(settings: Any) -> dict[str, Any]:
    """The values of a dataclass by the names that stored runs have for its fields."""
    return {
        name: getattr(settings, field) for field, name in stored_names(settings).items()
    }


def earlier(kind: Any) -> dict[str, Any]:
    """What the settings that came later are in a ``kind`` stored before, as in JSON."""
    hints = get_type_hints(kind if isinstance(kind, type) else type(kind))
    return {
        setting.stored_as or spec.name: [setting.before]
        if get_origin(hints[spec.name]) is tuple
        else setting.before
        for spec, setting in settings_of(kind)
        if setting.before is not ALWAYS
    }


def axes_of(*kinds: type) -> Any:
    """A base for a dataclass: the settings of ``kinds``, axes as tuples of values."""
    fields = []
    for kind in kinds:
        hints = get_type_hints(kind)
        for spec, setting in settings_of(kind):
            hint, default = hints[spec.name], spec.default
            if setting.axis:
                hint = tuple[without_none(hint), ...]
                default = setting.values or (default,)
            axis_field = dataclasses.field(default=default, metadata=spec.metadata)
            fields.append((spec.name, hint, axis_field))
    return dataclasses.make_dataclass("Axes", fields, frozen=True)


def without_none(hint: Any) -> Any:
    """A type hint less its None, which a cell may have in the place of a value."""
    if get_origin(hint) is types.UnionType:
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    return hint
