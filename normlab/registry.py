"""Entries by name: norms, models, optimizers and other things that a setting selects.

A package keeps its entries in one `Registry`. The setting that selects one of them is
declared in a lower package (`normlab.settings`), which does not know the entries. Its
help text and its checks find them here, by the setting's name.
"""

from collections.abc import Mapping
from typing import TypeVar

from normlab.errors import UserError

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dict of entries, registered under the setting that selects one of them.

    Args:
      setting: the setting's name (``norm``, without the dashes of its flag).
      entries: name -> entry.
    """

    def __init__(self, setting: str, entries: Mapping[str, T]):
        super().__init__(entries)
        self.setting = setting
        REGISTRIES[setting] = self

    def find(self, name: str) -> T:
        """The entry called ``name``.

        Raises:
          UserError: there is no such entry; the message lists the known names.
        """
        if name not in self:
            raise unknown(self.setting, name, self)
        return self[name]


REGISTRIES: dict[str, Registry] = {}


def unknown(setting: str, value: str, known: Mapping | tuple[str, ...]) -> UserError:
    """The error for a ``value`` that is not one of the ``known`` names."""
    return UserError(f"--{setting}={value}: unknown; known: {', '.join(known)}")
