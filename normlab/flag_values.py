"""The values of flags, read from text. A wrong one is named in plain words."""

from collections.abc import Callable
from typing import Any

from absl import flags


class One(flags.ArgumentParser):
    """A single value. Python's own message for a wrong one speaks of its types.

    Args:
      item: converts text to one value.
      noun: what messages call a value.
    """

    def __init__(self, item: Callable[[str], Any], noun: str):
        super().__init__()
        self._item, self._noun = item, noun

    def parse(self, argument) -> Any:
        if not isinstance(argument, str):
            return argument
        try:
            return self._item(argument)
        except ValueError:
            raise ValueError(f"{argument!r} is not {self._noun}") from None


class ListOf(flags.ListParser):
    """A comma-separated list of one type: ``--lr=1e-4,1e-3``.

    A later list replaces an earlier one completely (absl's ``DEFINE_multi_*`` would
    append), so the command line can override a flagfile.

    Args:
      item, noun: as for `One`.
      empty: whether the list may be empty.
    """

    def __init__(self, item: Callable[[str], Any], noun: str, empty: bool = False):
        super().__init__()
        self._one, self._empty = One(item, noun), empty

    def parse(self, argument) -> list:
        if isinstance(argument, list | tuple):
            return list(argument)
        values = [self._one.parse(text) for text in super().parse(argument)]
        if not values and not self._empty:
            raise ValueError("it needs at least one value")
        return values


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


# A type -> how it is read from text, and what a message calls it.
ITEMS: dict[type, tuple[Callable[[str], Any], str]] = {
    str: (str, "a word"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (_boolean, "true or false"),
}
