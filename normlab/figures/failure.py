"""Contains the failure of a figure, so that other figures and the run continue."""

import contextlib
from collections.abc import Iterator, Sequence

from normlab.errors import UserError, one_line


class CannotDraw(UserError):
    """A figure cannot be drawn. The message names the figure and the reason."""


@contextlib.contextmanager
def only(name: str) -> Iterator[None]:
    """Attributes errors in its block to the figure ``name``.

    Raises:
      CannotDraw: instead of any error except `UserError`, whose message is better.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise CannotDraw(f"figure {name} cannot be drawn ({why})") from error


def check_drawn(failed: Sequence[CannotDraw]) -> None:
    """Fails if a figure could not be drawn. A command calls this at its end.

    Raises:
      CannotDraw: ``failed`` is not empty; the message combines all of its messages.
    """
    if failed:
        raise CannotDraw("; ".join(map(str, failed)))
