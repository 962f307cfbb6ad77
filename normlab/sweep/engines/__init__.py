"""Engines by name. An engine runs the cells of a sweep.

To add one, write a file with a function like
`normlab.sweep.engines.inline.open_inline`, and add a line to ENGINES. Every engine
writes the same run directory. A task is a cell, and it is safe to run a task again,
anywhere.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from normlab.registry import unknown
from normlab.sweep.engines.engine import Engine, Work, part
from normlab.sweep.engines.inline import open_inline
from normlab.sweep.engines.ray import open_ray

__all__ = ["ENGINES", "Engine", "Work", "open_engine", "part"]

ENGINES: dict[str, Callable[[Work], AbstractContextManager[Engine]]] = {
    "inline": open_inline,
    "ray": open_ray,
}


def open_engine(work: Work) -> AbstractContextManager[Engine]:
    """The engine that ``--engine`` names, ready to run its cells.

    Raises:
      UserError: no engine has that name, or a cell cannot be run.
    """
    name = work.options.engine
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    return ENGINES[name](work)
