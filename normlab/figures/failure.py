"""A figure that cannot be drawn costs no other, and no run."""

import contextlib
from collections.abc import Iterator, Sequence

from normlab.errors import UserError, one_line


class CannotDraw(UserError):
    """A figure cannot be drawn; the message says which one, and why."""


@contextlib.contextmanager
def only(name: str) -> Iterator[None]:
    """Whatever goes wrong inside is the fault of the figure ``name``.

    Raises:
      CannotDraw: in place of any error but a `UserError`, which says more.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise CannotDraw(f"figure {name} cannot be drawn ({why})") from error


def check_drawn(failed: Sequence[CannotDraw]) -> None:
    """Ends a command that is there to draw, once all else is drawn.

    Raises:
      CannotDraw: some were not; the message has them all.
    """
    if failed:
        raise CannotDraw("; ".join(map(str, failed)))
