"""Command lines: typed list flags, and errors in one line with exit status 1.

Flags live in a ``FlagValues`` of their own, not in absl's global one: libraries
that define flags there cannot collide with ours, and a test can parse as often
as it likes.
"""

import dataclasses
import io
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

from absl import flags

from normlab.errors import UserError, one_line
from normlab.flagfiles import expand, line
from normlab.interrupt import Stopped, at_end, raising
from normlab.serialize import item_type
from normlab.settings import declared
from normlab.words import check_path, check_text


class ListOf(flags.ListParser):
    """A comma list of one type: ``--lr=1e-4,1e-3``.

    A list given later replaces an earlier one whole (absl's ``DEFINE_multi_*``
    would append), so the command line can override a flagfile.

    Args:
      item: text -> one value.
      noun: what a value is, for messages.
      empty: whether a list of no values may be given.
    """

    def __init__(self, item: Callable[[str], Any], noun: str, empty: bool = False):
        super().__init__()
        self._item, self._noun, self._empty = item, noun, empty

    def parse(self, argument) -> list:
        if isinstance(argument, list | tuple):
            return list(argument)
        values = []
        for text in super().parse(argument):
            try:
                values.append(self._item(text))
            except ValueError:
                raise ValueError(f"{text!r} is not {self._noun}") from None
        if not values and not self._empty:
            raise ValueError("it needs at least one value")
        return values


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_ITEMS: dict[type, tuple[Callable[[str], Any], str]] = {
    str: (str, "a word"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (_boolean, "true or false"),
}
_SCALARS = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
}


def define(kind: type, values: flags.FlagValues) -> None:
    """One flag for every field of the dataclass ``kind``; tuples are comma lists."""
    for spec in dataclasses.fields(kind):
        item, is_list = item_type(kind, spec.name)
        setting, default = declared(spec), cast(Any, spec.default)
        if not is_list:
            _SCALARS[item](spec.name, default, setting.text, flag_values=values)
            continue
        flags.DEFINE(
            ListOf(*_ITEMS[item], empty=not default),
            spec.name,
            list(default),
            setting.text,
            flag_values=values,
            serializer=flags.ListSerializer(","),
        )


T = TypeVar("T")

_LONGEST_NAME = 100


def read(kind: type[T], values: flags.FlagValues) -> T:
    """The dataclass ``kind`` from the flags that `define` made; checks apply."""
    settings = {}
    for spec in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = values[spec.name].value
        settings[spec.name] = tuple(value) if isinstance(value, list) else value
    return kind(**settings)


def write(settings: Any) -> list[str]:
    """The flagfile lines that `read` turns back into ``settings``.

    Text that is empty by default has no line: a path that is empty is a mistake.
    """
    specs = dataclasses.fields(settings)
    values = {spec.name: getattr(settings, spec.name) for spec in specs}
    return [
        line(spec.name, values[spec.name])
        for spec in specs
        if not values[spec.name] == spec.default == ""
    ]


# Flags that were renamed. The flagfiles of stored runs have the old names.
RENAMED = {
    "bn_eval": "eval_statistics",
    "chunk_steps": "call_steps",
    "probes": "quantities",
}

# The flags that name files and folders.
_PATHS = ("run", "out", "archive", "data_dir", "compilation_cache", "name")
# The run that a command is about. Where several may be given, the flag is a multi flag.
_ONE = "run"


def _words(argv: Sequence[str], values: flags.FlagValues) -> list[str]:
    """The words of a command line with its flagfiles, all of them fit to be parsed.

    Renamed flags have their new names.

    Raises:
      UserError: of a flagfile (`normlab.flagfiles.expand`), or a word is no text, or
        names a flag that none can be.
    """
    one = _ONE in values and not isinstance(values[_ONE], flags.MultiFlag)
    words = expand(argv, (_ONE,) if one else (), list(values))
    for i, word in enumerate(words):
        if "\0" in word:
            raise UserError(f"{ascii(word)} is no text")
        check_text(word)
        # absl looks for flags of similar names, in a time that grows with the square.
        name, *value = word.partition("=")
        if name.startswith("-") and len(name) > _LONGEST_NAME:
            raise UserError(f"unknown flag {name}")
        renamed = RENAMED.get(name.lstrip("-"), "")
        if name.startswith("-") and renamed in values:
            words[i] = "".join([f"--{renamed}", *value])
    return words


def _check_paths(values: flags.FlagValues) -> None:
    """Checks what was given of `_PATHS`.

    Raises:
      UserError: one is no path (`normlab.words.check_path`).
    """
    for name in _PATHS:
        if name in values and values[name].present:
            given = values[name].value or ""
            for path in given if isinstance(given, list) else (given,):
                check_path(name, path)


def _help(program: str, doc: str, values: flags.FlagValues) -> str:
    lines = [doc.strip(), "", f"flags of python -m {program}:"]
    for name in sorted(values):
        flag = values[name]
        text = " ".join((flag.help or "").split())
        lines.append(f"  --{name}  {text}")
        if flag.default_as_str is not None:
            lines.append(f"      default: {flag.default_as_str}")
    lines.append("  --flagfile  Read more flags from this file (one a line).")
    return "\n".join(lines)


def _degrade() -> None:
    """Lets output escape the letters that its encoding lacks (``\\u2026``)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not None, nor a notebook's
            stream.reconfigure(errors="backslashreplace")


def _leave(status: int, at_once: bool) -> NoReturn:
    """Ends; at once means that a program on a device is not waited for.

    An interpreter that ends in good order waits for minutes for what XLA computes or
    compiles, which nobody will read. Files are closed and locks are free by then.
    """
    if at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _unread() -> bool:
    """Whether who read standard output is gone (``| head``); the rest is dropped."""
    watched = select.poll()
    try:
        watched.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError):  # none, or one that is no file
        return False
    gone = any(event & select.POLLERR for _, event in watched.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def run(
    main: Callable[[flags.FlagValues], int | None],
    values: flags.FlagValues,
    *,
    program: str,
    doc: str,
    argv: Sequence[str] | None = None,
) -> None:
    """Parses ``argv`` into ``values``, calls ``main(values)`` and exits.

    Args:
      main: the command; what it returns is the exit status (None is 0).
      values: flags defined with ``flag_values=values``.
      program: the module's name, for messages (``normlab.sweep``).
      doc: the text above the flags in ``--help``.
      argv: the words after the program's name; ``sys.argv[1:]`` by default.

    A wrong flag, a missing flagfile, a stray word or a `UserError` out of
    ``main`` ends in one line on standard error and exit status 1; SIGTERM and SIGINT
    in one line and 128 + their number; a reader of standard output that is gone in
    no line and 128 + SIGPIPE.
    """
    _degrade()
    if argv is None:  # libraries have set up theirs by now
        logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    words = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h", "-help", "--helpfull"} & set(words):
        words, main = [], lambda values: print(_help(program, doc, values))
    try:
        try:
            rest = values([program, *_words(words, values)])[1:]
        except flags.Error as error:
            raise UserError(one_line(error)) from error
        _check_paths(values)
        if rest:
            raise UserError(
                f"unexpected word {rest[0]!r}: every setting is --name=value, one a "
                "line in a flagfile"
            )
        try:
            with raising():
                status = main(values)
                print(end="", flush=True)  # standard output may be closed
        except OSError as error:  # a folder that cannot be read, a full disk, ...
            if isinstance(error, BrokenPipeError) and _unread():
                status = 128 + signal.SIGPIPE
            else:
                raise UserError(one_line(error)) from error
        except MemoryError as error:
            raise UserError(f"out of memory: {one_line(error)}") from error
    except Stopped as stop:
        print(stop.line(program), file=sys.stderr)
        _leave(128 + stop.signum, at_once=argv is None)
    except UserError as error:
        print(f"{program}: error: {one_line(error)}", file=sys.stderr)
        status = 1
    if argv is None:
        at_end(status or 0)
    sys.exit(status or 0)
