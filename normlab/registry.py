"""Entries by name: norms, models, optimizers and other things that a setting selects.

A package keeps its entries in one `Registry`. The setting that selects one of them is
declared in a lower package (`normlab.settings`), which does not know the entries. Its
help text and its checks find them here, by the setting's name.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from normlab import plugins
from normlab.errors import UserError, did_you_mean

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dict of entries, registered under the setting that selects one of them.

    It contains the package's own entries. A name that is not among them may be a plugin
    (`normlab.plugins`): ``registry[name]`` imports it and makes an entry of it. ``in``,
    ``get`` and iteration know the own entries only, and import nothing.

    Args:
      setting: the setting's name (``norm``, without the dashes of its flag).
      entries: name -> entry.
      adopt: ``(object, name) -> entry``, for what a plugin gives; None if the setting
        takes no plugins. It raises UserError for an object of the wrong kind.
      forms: a word before a colon, which is not a module -> ``(rest, name) -> (entry,
        source)``. (``npz`` for ``npz:FILE``.)

    Attributes:
      sources: plugin -> where it came from, for the record of a run. Of those used in
        this process.
    """

    def __init__(
        self,
        setting: str,
        entries: Mapping[str, T],
        adopt: Callable[[Any, str], T] | None = None,
        forms: Mapping[str, Callable[[str, str], tuple[T, dict[str, Any]]]]
        | None = None,
    ):
        super().__init__(entries)
        self.setting, self.adopt, self._forms = setting, adopt, forms or {}
        self.sources: dict[str, dict[str, Any]] = {}
        self._adopted: dict[str, T] = {}
        REGISTRIES[setting] = self

    def find(self, name: str) -> T:
        """The entry called ``name``, which may be a plugin.

        Raises:
          UserError: there is no such entry (the message lists the known names), or the
            plugin may not be imported, or cannot be.
        """
        return self[name]

    def __missing__(self, name: str) -> T:
        if name not in self._adopted:
            self._adopted[name], self.sources[name] = self._load(name)
        return self._adopted[name]

    def _load(self, name: str) -> tuple[T, dict[str, Any]]:
        if self.adopt is None:
            raise unknown(self.setting, name, self)
        form, colon, rest = name.partition(":")
        if colon and form in self._forms:
            return self._forms[form](rest, name)
        plugin = plugins.load(self.setting, name)
        if plugin is None:
            known = (*self, *plugins.entry_points(self.setting))
            raise unknown(self.setting, name, known, ", or module:attribute")
        return self.adopt(plugin.object, name), plugin.source


REGISTRIES: dict[str, Registry] = {}


def allow_named(values: Mapping[str, Any]) -> None:
    """Allows the plugins that the user named in this process.

    Args:
      values: setting -> a name, or several; settings that select no entry are ignored.
    """
    for setting in REGISTRIES.keys() & values.keys():
        names = values[setting]
        plugins.allow((names,) if isinstance(names, str) else names or ())


def unknown(
    setting: str, value: str, known: Mapping | tuple[str, ...], more: str = ""
) -> UserError:
    """The error for a ``value`` that is not one of the ``known`` names.

    Args:
      more: what else it may be, after the names.
    """
    names = f"{', '.join(known)}{more}{did_you_mean(value, known)}"
    return UserError(f"--{setting}={value}: unknown; known: {names}")
