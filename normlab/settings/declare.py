"""How a setting is declared, and what is derived from the declaration."""

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from normlab.registry import REGISTRIES

# The value of `Setting.before` for a setting that every stored run has.
ALWAYS: Any = object()
# The ends of the help texts of axes.
AXIS_TAGS = ("[static]", "[member]")
# In `Setting.read_by`: the first value of the axis.
FIRST: Any = object()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything about a setting except its name, type and default.

    Attributes:
      help: the help text of its flag, without its choices and its axis.
      axis: ``static`` if it is an axis of a sweep and each value is a cell, a compiled
        program of its own; ``member`` if the values are data to one program; None if it
        has one value in the whole sweep.
      values: the default values of the axis, if there are several.
      choices: the allowed values, or the name of the `Registry` that has them (the
        names are then checked where the entries are known).
      low, high: the smallest and the largest allowed number.
      above, below: exclusive limits.
      float32: whether networks compute with it in float32. Its values must then differ
        in float32.
      before: its value in runs that were stored before the setting existed.
      stored_as: its name in stored runs and in the ids of cells, if it was renamed.
      read_by: the registries (``norm``, ``model``, ``optimizer``, ``schedule``) whose
        entries declare whether they read it. Each maps to the value that the setting
        has in a cell whose entry does not read it. If there are none, all cells read
        the setting.
      in_label: whether the label of a cell's norm shows it, as
        `normlab.cell.norm_label` writes it; other settings follow the label.
      phrase: how a sentence says it, with ``{}`` for its value: ``at a learning rate of
        {}``; of a switch, the words for on and for off. "" for ``at width 2``.
      said: value -> how a sentence says it, where ``phrase`` would be wrong: mostly the
        value that switches something off.
      recipe: whether it changes the gradient or the rate of training, which published
        curves and claims take to be plain (`normlab.settings.PLAIN`).
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
    phrase: str | tuple[str, str] = ""
    said: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recipe: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """The allowed names; none if the registry that has them is not imported."""
        if isinstance(self.choices, str):
            return tuple(REGISTRIES.get(self.choices, ()))
        return self.choices

    @property
    def takes_plugins(self) -> bool:
        """Whether its values may be names of plugins (`normlab.plugins`)."""
        registry = (
            REGISTRIES.get(self.choices) if isinstance(self.choices, str) else None
        )
        return registry is not None and registry.adopt is not None

    @property
    def text(self) -> str:
        """The help text of its flag, with its choices and its axis."""
        sentences = [self.help]
        named = set(re.findall(r"\w+", self.help))
        if self.takes_plugins or not named.issuperset(self.known):
            plugin = ", or module:attribute" if self.takes_plugins else ""
            sentences.append(f"Known: {', '.join(self.known)}{plugin}.")
        if self.axis:
            sentences.append(f"[{self.axis}]")
        return " ".join(sentences)


def flag(default: Any, help: str, **declaration: Any) -> Any:
    """Declares a setting, as a field of a dataclass.

    Args:
      default: its default; a tuple if the setting is a list.
      help: the help text of its flag.
      declaration: the other attributes of its `Setting`.
    """
    setting = Setting(help=help, **declaration)
    return dataclasses.field(default=default, metadata={"setting": setting})


def declared(spec: dataclasses.Field) -> Setting:
    """The declaration of a field that `flag` made."""
    return spec.metadata["setting"]


class Group(NamedTuple):
    """The flags of a class of settings, in ``--help``.

    Attributes:
      name: the class's ``GROUP``; by default its name, without ``Settings``.
      title: the first sentence of its docstring.
    """

    name: str
    title: str

    @property
    def line(self) -> str:
        """Name and title."""
        return f"{self.name}: {self.title[:1].lower()}{self.title[1:].rstrip('.')}"


def grouped(kind: type) -> list[tuple[dataclasses.Field, Group]]:
    """The settings of ``kind``, each with the group of the class that declares it.

    Those that ``kind`` itself declares come first, then those of its bases, in order.
    """
    specs = {spec.name: spec for spec, _ in settings_of(kind)}
    by_name: dict[str, Group] = {}
    for base in kind.__mro__:
        for name in inspect.get_annotations(base):
            if name in specs and name not in by_name:
                by_name[name] = _group(specs[name].metadata.get("kind", base))
    return [(specs[name], group) for name, group in by_name.items()]


def _group(owner: Any) -> Group:
    """The group of a class of settings, or of the base that it extends."""
    heads = [base for base in owner.__mro__ if "GROUP" in vars(base)]
    head = heads[0] if heads else owner
    name = getattr(owner, "GROUP", owner.__name__.removesuffix("Settings").lower())
    sentence = (head.__doc__ or "").partition("\n\n")[0].partition(". ")[0]
    return Group(name, " ".join(sentence.split()))


def settings_of(kind: Any) -> Iterator[tuple[dataclasses.Field, Setting]]:
    """The fields of a dataclass (or an instance) that `flag` made, in order."""
    for spec in dataclasses.fields(kind):
        if "setting" in spec.metadata:
            yield spec, declared(spec)


def named(kind: Any, **wanted: Any) -> tuple[str, ...]:
    """The names of the settings of ``kind`` whose declarations have these values.

    ``named(CellConfig, axis="static")`` are the static axes.
    """
    return tuple(
        spec.name
        for spec, setting in settings_of(kind)
        if all(getattr(setting, name) == value for name, value in wanted.items())
    )


def stored_names(kind: Any) -> dict[str, str]:
    """Field -> name in stored runs, for every field of a dataclass, in order."""
    return {
        spec.name: declared(spec).stored_as or spec.name
        for spec in dataclasses.fields(kind)
    }


def stored(settings: Any) -> dict[str, Any]:
    """The values of a dataclass, by the names that stored runs use for its fields."""
    return {
        name: getattr(settings, field) for field, name in stored_names(settings).items()
    }


def earlier(kind: Any) -> dict[str, Any]:
    """The values, as in JSON, of settings that a ``kind`` stored earlier lacks."""
    return dict(_earlier(kind if isinstance(kind, type) else type(kind)))


@cache  # reading type hints takes as long as all else of a cell's id
def _earlier(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        setting.stored_as or spec.name: [setting.before]
        if get_origin(hints[spec.name]) is tuple
        else setting.before
        for spec, setting in settings_of(kind)
        if setting.before is not ALWAYS
    }


def axes_of(*kinds: type) -> Any:
    """A base class with the settings of ``kinds``; axes are tuples of values."""
    fields = []
    for kind in kinds:
        hints = get_type_hints(kind)
        for spec, setting in settings_of(kind):
            hint, default = hints[spec.name], spec.default
            if setting.axis:
                hint = tuple[without_none(hint), ...]
                default = setting.values or (default,)
            metadata = {**spec.metadata, "kind": kind}
            axis_field = dataclasses.field(default=default, metadata=metadata)
            fields.append((spec.name, hint, axis_field))
    return dataclasses.make_dataclass("Axes", fields, frozen=True)


def without_none(hint: Any) -> Any:
    """A type hint without its None. A cell may have None instead of a value."""
    if get_origin(hint) is types.UnionType:
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    return hint
