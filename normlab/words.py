"""Checks the words of a command line, and guesses what a wrong one was meant to be.

A flagfile is not a shell script. Quotes, a comment or a second flag on a line, which a
shell would handle, would become part of a value there, and so of a folder's name.
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
# Unicode categories: control characters, and line and paragraph separators.
_CONTROLS = ("Cc", "Zl", "Zp")
_QUOTES = ("''", '""', "“”", "‘’")


def plural(number: int, noun: str) -> str:
    """``member`` if ``number`` is 1, else ``members``."""
    return noun if number == 1 else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """``1 member``, ``2 members``."""
    return f"{number} {plural(number, noun)}"


def conjoined(names: Sequence[str], between: str = ", ") -> str:
    """``E1``, ``E1 and E2``, ``E1, E2 and E4``."""
    *first, last = names
    return f"{between.join(first)} and {last}" if first else last


def check_text(text: str) -> None:
    """Checks text that will be written to a file or used as its name.

    Raises:
      UserError: it contains bytes that are not text, or characters that the encoding of
        file names lacks.
    """
    encoding = sys.getfilesystemencoding().upper()
    try:
        os.fsencode(text)
        text.encode()
    except UnicodeEncodeError:
        hint = "" if encoding == "UTF-8" else "; PYTHONUTF8=1 makes Python use UTF-8"
        raise UserError(f"{ascii(text)} is not text in {encoding}{hint}") from None


def path_of(value: str) -> Path:
    """The path that a flag gives; ``~`` is the home folder.

    Raises:
      UserError: it names the home folder of a user who has none.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise UserError(f"cannot use {value!r}: {error}") from None


def check_path(flag: str, value: str) -> None:
    """Checks the value of a flag that takes a path.

    Raises:
      UserError: it is empty, or contains a control character.
    """
    if not value.strip():
        raise UserError(f"--{flag}= is empty; give a value, or leave the flag out")
    if any(unicodedata.category(letter) in _CONTROLS for letter in value):
        raise UserError(f"--{flag}={ascii(value)}: it contains a control character")


def checked(word: str, flags: Collection[str] = ()) -> str:
    """Checks a word of a command line, or a line of a flagfile, before parsing.

    Args:
      flags: names of the command's flags.

    Returns:
      The word without spaces at its ends and around its equals sign.

    Raises:
      UserError: shell syntax (a comment, another flag, quotes, an operator, a variable
        or a backslash) would become part of the value. The message suggests a fix.
    """
    word = word.strip()
    if _COMMENT.search(word):
        raise _slip(word, "a comment needs a line of its own", _COMMENT.sub("", word))
    if _SHELL.search(word):
        raise _slip(word, "shell syntax does not work here", _SHELL.sub("", word))
    first, *more = _next_flag(frozenset(flags)).split(word)
    if more:
        more = [flag if flag[0] in "-–—" else f"--{flag}" for flag in more]
        raise _slip(word, "each flag needs a line of its own", first, *more)
    word = "=".join(part.strip() for part in word.split("=", 1))
    name, value = _split(word)
    if value.endswith("\\"):
        meant = name + value.rstrip("\\").rstrip()
        raise _slip(word, "a line must not end with a backslash", meant)
    opened = value.startswith(tuple(quote[0] for quote in _QUOTES))
    if opened and value == _unquoted(value):
        raise UserError(f"{word}: a quote is opened but not closed")
    if value != _unquoted(value):
        raise _slip(word, "quotes would become part of it", name + _unquoted(value))
    if _VARIABLE.search(value):
        raise UserError(f"{word}: variables and commands are not expanded here")
    return word


@functools.cache
def _next_flag(flags: frozenset[str]) -> re.Pattern:
    """Matches the space before another flag: a word with dashes, or a known name.

    A name may contain a list like ``lr=0.1, momentum=0.9``.
    """
    if not flags:
        return re.compile(rf"\s+(?={_NEXT_FLAG})")
    known = "|".join(map(re.escape, sorted(flags)))
    bare, dashed = rf"(?:{known})\s*=", rf"-(?:no)?(?:{known})(?!\S)"
    return re.compile(rf"\s+(?={_NEXT_FLAG}|{dashed})|(?<![,;\s])\s+(?={bare})")


def _split(word: str) -> tuple[str, str]:
    """``--name=`` and the value; for other words, nothing and the whole word."""
    name, equals, value = word.partition("=")
    return (name + equals, value) if word.startswith("-") and equals else ("", word)


def _unquoted(path: str) -> str:
    """``path`` without the quotes around it or around its parts."""
    return "/".join(map(_without, _without(path).split("/")))


def _without(text: str) -> str:
    for opening, closing in _QUOTES:
        head, closed, rest = text[1:].rpartition(closing)
        if text.startswith(opening) and closed:
            return head + rest
    return text


def _slip(word: str, reason: str, *meant: str) -> UserError:
    return UserError(f"{word}: {reason}; did you mean {' and '.join(meant)}?")


def check_once(words: Sequence[str], names: Collection[str]) -> None:
    """Checks that ``words`` do not give a flag of ``names`` two values.

    Raises:
      UserError: a flag has two values, so the first would be lost.
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
            raise UserError(f"{both}: this command takes one {name}; give one")
