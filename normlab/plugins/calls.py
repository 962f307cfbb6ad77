"""Calls a plugin's code: with the arguments that it takes, and errors in one line."""

import contextlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from normlab.errors import UserError

# Plugin -> the folder, or the file, of its code. Messages name lines in it.
PLACES: dict[str, Path] = {}


@contextlib.contextmanager
def calling(setting: str, name: str) -> Iterator[None]:
    """Runs a plugin's code. Its errors become one line that names the plugin's line.

    Raises:
      UserError: the code raised an exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise failed(f"--{setting}={name}", error, PLACES.get(name)) from error


def failed(says: str, error: BaseException, place: Path | None) -> UserError:
    frames = traceback.extract_tb(error.__traceback__)
    if place is None:  # an import: the last line outside Python's own import system
        inside = [f for f in frames[2:] if not f.filename.startswith("<frozen")]
    else:
        inside = [f for f in frames if Path(f.filename).is_relative_to(place)]
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({_near(error.filename)}:{error.lineno})"
    else:
        where = f" ({_near(inside[-1].filename)}:{inside[-1].lineno})" if inside else ""
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0]}" if lines else repr(error)
    return UserError(f"{says}: {reason}{where}")


def _near(file: str) -> str:
    with contextlib.suppress(ValueError):
        return str(Path(file).relative_to(os.getcwd()))
    return file


def accepted(
    function: Callable[..., Any],
    offered: Mapping[str, Any],
    says: str,
    skip: int = 0,
) -> dict[str, Any]:
    """Those of the ``offered`` arguments that a function takes, by name.

    Args:
      function: a plugin's function or class.
      says: what messages call it.
      skip: how many of its first arguments are given by position.

    Raises:
      UserError: it needs an argument that is not offered.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(offered)
    taken = {}
    for parameter in parameters[skip:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        if parameter.name in offered:
            taken[parameter.name] = offered[parameter.name]
        elif parameter.default is parameter.empty:
            raise UserError(
                f"{says} needs an argument {parameter.name!r}; normlab gives "
                f"{', '.join(offered)}"
            )
    return taken
