"""Entries by name: norms, models, optimizers, and whatever else a setting chooses from.

A package keeps its entries in one `Registry`. The setting that chooses among them is
declared further down (`normlab.settings`), where the entries are not known; its help
and its checks find them here by the setting's name.
"""

from collections.abc import Mapping
from typing import TypeVar

from normlab.errors import UserError

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dict of entries, known by the setting that chooses one of them.

    Args:
      setting: the name of that setting (``norm``, without the dashes of its flag).
      entries: name -> entry.
    """

    def __init__(self, setting: str, entries: Mapping[str, T]):
        super().__init__(entries)
        self.setting = setting
        REGISTRIES[setting] = self

    def find(self, name: str) -> T:
        """The entry of that name.

        Raises:
          UserError: there is none; the message lists the known names.
        """
        if name not in self:
            raise unknown(self.setting, name, self)
        return self[name]


REGISTRIES: dict[str, Registry] = {}


def unknown(setting: str, value: str, known: Mapping | tuple[str, ...]) -> UserError:
    """The error that ``value`` is none of the ``known`` names."""
    return UserError(f"--{setting}={value}: unknown; known: {', '.join(known)}")
