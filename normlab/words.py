"""Words of a command line: what they may hold, and what they were meant to be.

A flagfile is no shell script. What a shell takes away - quotes, a comment, the space
between two flags - would become a part of a value there, and the name of a folder.
"""

import functools
import os
import re
import sys
import unicodedata
from collections.abc import Collection, Sequence
from itertools import zip_longest
from pathlib import Path

from normlab.errors import UserError

_COMMENT = re.compile(r"\s+(#|//).*", re.DOTALL)
_NEXT_FLAG = r"--\w|[–—]\w|-\w+="
_SHELL = re.compile(r"\s+(&&|\|\||&?>>?|\d>|<\s|&$).*", re.DOTALL)
_VARIABLE = re.compile(r"\$[A-Za-z_({]|`")
# Of Unicode: control characters, and separators of lines and paragraphs.
_CONTROLS = ("Cc", "Zl", "Zp")
_QUOTES = ("''", '""', "“”", "‘’")


def plural(number: int, noun: str) -> str:
    """``member`` if ``number`` is 1, else ``members``."""
    return noun if number == 1 else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """``1 member``, ``2 members``."""
    return f"{number} {plural(number, noun)}"


def check_text(text: str) -> None:
    """Checks what becomes the name of a file or stands in one.

    Raises:
      UserError: it holds bytes that are no text, or letters that the system's encoding
        of file names lacks.
    """
    encoding = sys.getfilesystemencoding().upper()
    try:
        os.fsencode(text)
        text.encode()
    except UnicodeEncodeError:
        hint = "" if encoding == "UTF-8" else "; PYTHONUTF8=1 makes Python use UTF-8"
        raise UserError(f"{ascii(text)} is no text in {encoding}{hint}") from None


def path_of(value: str) -> Path:
    """The path that a flag names; ``~`` is the home.

    Raises:
      UserError: it is the home of a user who has none.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise UserError(f"cannot use {value!r}: {error}") from None


def check_path(flag: str, value: str) -> None:
    """Checks what a flag names as a path.

    Raises:
      UserError: it is empty, or no name that a person gives to a file.
    """
    if not value.strip():
        raise UserError(f"--{flag}= names nothing; give a path, or leave the flag out")
    if any(unicodedata.category(letter) in _CONTROLS for letter in value):
        raise UserError(f"--{flag}={ascii(value)}: a control character is in it")


def checked(word: str, flags: Collection[str] = ()) -> str:
    """A word of a command line, or a line of a flagfile, fit to be parsed.

    Args:
      flags: names of the command's flags.

    Returns:
      The word without spaces at its ends and around its equals sign.

    Raises:
      UserError: a comment, another flag, quotes, an operator, a variable or a backslash
        of a shell would be a part of its value; it says what was probably meant.
    """
    word = word.strip()
    if _COMMENT.search(word):
        raise _slip(word, "a comment needs a line of its own", _COMMENT.sub("", word))
    if _SHELL.search(word):
        raise _slip(word, "this is no line of a shell", _SHELL.sub("", word))
    first, *more = _next_flag(frozenset(flags)).split(word)
    if more:
        more = [flag if flag[0] in "-–—" else f"--{flag}" for flag in more]
        raise _slip(word, "each flag needs a line of its own", first, *more)
    word = "=".join(part.strip() for part in word.split("=", 1))
    name, value = _split(word)
    if value.endswith("\\"):
        meant = name + value.rstrip("\\").rstrip()
        raise _slip(word, "a line needs no backslash at its end", meant)
    opened = value.startswith(tuple(quote[0] for quote in _QUOTES))
    if opened and value == _unquoted(value):
        raise UserError(f"{word}: a quote is opened, and not closed")
    if value != _unquoted(value):
        raise _slip(word, "quotes would be a part of it", name + _unquoted(value))
    if _VARIABLE.search(value):
        raise UserError(f"{word}: variables and commands are not expanded here")
    return word


@functools.cache
def _next_flag(flags: frozenset[str]) -> re.Pattern:
    """What is in front of a flag behind another: one with dashes, or a known name.

    A list like ``lr=0.1, momentum=0.9`` may be in a name.
    """
    if not flags:
        return re.compile(rf"\s+(?={_NEXT_FLAG})")
    known = "|".join(map(re.escape, sorted(flags)))
    bare, dashed = rf"(?:{known})\s*=", rf"-(?:no)?(?:{known})(?!\S)"
    return re.compile(rf"\s+(?={_NEXT_FLAG}|{dashed})|(?<![,;\s])\s+(?={bare})")


def _split(word: str) -> tuple[str, str]:
    """``--name=`` and the value; nothing and the word, if it is no flag's."""
    name, equals, value = word.partition("=")
    return (name + equals, value) if word.startswith("-") and equals else ("", word)


def _unquoted(path: str) -> str:
    """``path`` without quotes around it, or around a part of it."""
    return "/".join(map(_without, _without(path).split("/")))


def _without(text: str) -> str:
    for opening, closing in _QUOTES:
        head, closed, rest = text[1:].rpartition(closing)
        if text.startswith(opening) and closed:
            return head + rest
    return text


def _slip(word: str, reason: str, *meant: str) -> UserError:
    return UserError(f"{word}: {reason}; was {' and '.join(meant)} meant?")


def check_once(words: Sequence[str], names: Collection[str]) -> None:
    """Checks that ``words`` give no flag of ``names`` two values.

    Raises:
      UserError: they do, and the first would be lost.
    """
    given: dict[str, str] = {}
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        flag, equals, value = word.partition("=")
        name = flag.lstrip("-")
        if flag == name or name not in names:
            continue
        value = value if equals else following
        if given.setdefault(name, value) != value:
            both = f"--{name}={given[name]} --{name}={value}"
            raise UserError(f"{both}: this command is about one {name}; give one")
