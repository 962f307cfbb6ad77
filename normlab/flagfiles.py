"""Flagfiles put in the place of the words that name them.

absl reads flagfiles too, but passes over one that includes itself with a warning, and
reads without bound what names itself many times over, or never ends. It also takes what
a shell would take away for a part of the value (`normlab.words`).
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import UserError
from normlab.words import check_once, checked

# The largest of the project has 3 kB.
_MOST_BYTES = 1_000_000
_MOST_LINES = 10_000
_MOST_FILES = 100
_COMMENTS = ("#", "//")


def expand(
    words: Sequence[str], once: Collection[str] = (), flags: Collection[str] = ()
) -> list[str]:
    """The words of a command line, with the lines of flagfiles where they are named.

    A line is one word; it may name a flagfile, from the working directory. Blank lines
    and those that begin with ``#`` or ``//`` are left out.

    Args:
      once: names of flags that have one value. A flagfile's may be replaced on the
        command line.
      flags: names of all flags.

    Raises:
      UserError: a flagfile cannot be read, is no text, includes itself, or they are
        far too long or too many; a word holds what a shell would take away; one of
        ``once`` has two values in one flagfile, or on the command line itself.
    """
    files = itertools.count(1)
    expanded = []
    for word in _expand(words, (), files, once, frozenset(flags)):
        expanded.append(word)
        if len(expanded) > _MOST_LINES + len(words):
            raise UserError(f"the flagfiles have more than {_MOST_LINES} lines")
    return expanded


def flagfile_of(words: Sequence[str]) -> str | None:
    """The first ``--flagfile=PATH`` or ``--flagfile PATH`` on a command line."""
    for word, following in zip(words, [*words[1:], None], strict=False):
        if _names_flagfile(word):
            return word.partition("=")[2] if "=" in word else following
    return None


def _names_flagfile(word: str) -> bool:
    return word.partition("=")[0] in ("--flagfile", "-flagfile")


def _expand(
    words: Sequence[str],
    inside: tuple[Path, ...],
    files: Iterator[int],
    once: Collection[str],
    flags: Collection[str],
) -> Iterator[str]:
    end = list(words).index("--") if "--" in words else len(words)
    # Behind --, there are no flags.
    words = [*(checked(word, flags) for word in words[:end]), *words[end:]]
    check_once(words[:end], once)
    rest = iter(words)
    for word in rest:
        if not _names_flagfile(word):
            yield word
            if word == "--":  # what follows is no flag
                yield from rest
            continue
        name = word.partition("=")[2] if "=" in word else next(rest, "")
        if not name.strip():
            raise UserError("--flagfile names no file")
        path = _path(name.strip())
        if path in inside:
            raise UserError(f"--flagfile={name}: the file includes itself")
        if next(files) > _MOST_FILES:
            raise UserError(f"more than {_MOST_FILES} flagfiles include each other")
        yield from _expand(_lines(path, name), (*inside, path), files, once, flags)


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"--flagfile={name}: {error}") from None


def _lines(path: Path, name: str) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        # What an editor puts in front, a byte order mark, is no part of the first flag.
        text = content.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--flagfile={name} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--flagfile={name} is no text: {error.reason}") from error
    if len(content) > _MOST_BYTES:
        raise UserError(f"--flagfile={name} has more than {_MOST_BYTES} bytes")
    lines = (line.strip() for line in text.replace("\r", "\n").split("\n"))
    return [line for line in lines if line and not line.startswith(_COMMENTS)]


def line(name: str, value: Any) -> str:
    """The line of one flag; the items of a tuple or list stand between commas."""
    items = value if isinstance(value, (tuple, list)) else (value,)
    words = [str(x).lower() if isinstance(x, bool) else str(x) for x in items]
    return f"--{name}={','.join(words)}"
