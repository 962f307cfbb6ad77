"""Replaces the flagfiles on a command line by their lines.

absl can read flagfiles, too. But it only warns if a flagfile includes itself, and it
has no limit for one that is included many times or never ends. It also keeps quotes and
comments, which a shell would remove, as part of the value (`normlab.words`).
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from normlab.errors import UserError
from normlab.words import check_once, checked

# The project's largest flagfile has 3 kB.
_MOST_BYTES = 1_000_000
_MOST_LINES = 10_000
_MOST_FILES = 100
_COMMENTS = ("#", "//")


def expand(
    words: Sequence[str], once: Collection[str] = (), flags: Collection[str] = ()
) -> list[str]:
    """The words of a command line, with each flagfile replaced by its lines.

    Each line is one word. It may name another flagfile, relative to the working
    directory. Blank lines and lines that begin with ``#`` or ``//`` are skipped.

    Args:
      once: names of flags that take one value. The command line may override the value
        in a flagfile.
      flags: names of all flags.

    Raises:
      UserError: a flagfile cannot be read, is not text, includes itself or is far too
        long, or there are too many; a word contains shell syntax; or a flag in ``once``
        has two values in one flagfile, or two on the command line itself.
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
    # Words after -- are not flags.
    words = [*(checked(word, flags) for word in words[:end]), *words[end:]]
    check_once(words[:end], once)
    rest = iter(words)
    for word in rest:
        if not _names_flagfile(word):
            yield word
            if word == "--":  # the words that follow are not flags
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
        # Drop a byte order mark, or it would become part of the first flag.
        text = content.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--flagfile={name} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--flagfile={name} is not text: {error.reason}") from error
    if len(content) > _MOST_BYTES:
        raise UserError(f"--flagfile={name} has more than {_MOST_BYTES} bytes")
    lines = (line.strip() for line in text.replace("\r", "\n").split("\n"))
    return [line for line in lines if line and not line.startswith(_COMMENTS)]


def line(name: str, value: Any) -> str:
    """The flagfile line of a flag. Commas separate the items of a tuple or list."""
    items = value if isinstance(value, (tuple, list)) else (value,)
    words = [str(x).lower() if isinstance(x, bool) else str(x) for x in items]
    return f"--{name}={','.join(words)}"


def write(settings: Any) -> list[str]:
    """The flagfile lines from which `normlab.flags.read` rebuilds ``settings``.

    Text that is empty by default gets no line while it is empty, because an empty path
    is a mistake.
    """
    specs = dataclasses.fields(settings)
    values = {spec.name: getattr(settings, spec.name) for spec in specs}
    return [
        line(spec.name, values[spec.name])
        for spec in specs
        if not values[spec.name] == spec.default == ""
    ]
