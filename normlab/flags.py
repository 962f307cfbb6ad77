"""Command lines: typed list flags, and errors in one line with exit status 1.

Each command has its own ``FlagValues`` instead of absl's global one. So our flags
cannot collide with those of libraries, and a test can parse as often as it likes.
"""

import dataclasses
import io
import logging
import os
import select
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, cast

from absl import flags

from normlab import plugins, usage
from normlab.errors import UserError, did_you_mean, one_line
from normlab.flag_values import ITEMS, ListOf, One
from normlab.flagfiles import expand
from normlab.flagfiles import write as write  # what `read` reads
from normlab.interrupt import Stopped, at_end, raising
from normlab.registry import allow_named
from normlab.serialize import item_type
from normlab.settings import declared, grouped
from normlab.words import check_path, check_text

_SCALARS = {str: flags.DEFINE_string, bool: flags.DEFINE_boolean}


def defined(*kinds: type) -> flags.FlagValues:
    """The flags of a command: those of the dataclasses ``kinds``, unparsed."""
    values = flags.FlagValues()
    for kind in kinds:
        define(kind, values)
    return values


def define(kind: type, values: flags.FlagValues) -> None:
    """Defines a flag for each field of the dataclass ``kind``. Tuples are lists."""
    for spec, group in grouped(kind):
        item, is_list = item_type(kind, spec.name)
        setting, default = declared(spec), cast(Any, spec.default)
        if is_list:
            flags.DEFINE(
                ListOf(*ITEMS[item], empty=not default),
                spec.name,
                list(default),
                setting.text,
                flag_values=values,
                serializer=flags.ListSerializer(","),
            )
        elif item in _SCALARS:
            _SCALARS[item](spec.name, default, setting.text, flag_values=values)
        else:
            flags.DEFINE(
                One(*ITEMS[item]),
                spec.name,
                default,
                setting.text,
                flag_values=values,
                serializer=flags.ArgumentSerializer(),
            )
        cast(Any, values[spec.name]).group = group


T = TypeVar("T")

_LONGEST_NAME = 100
# 128 + SIGPIPE, a signal that Windows lacks.
_BROKEN_PIPE = 141


def read(kind: type[T], values: flags.FlagValues) -> T:
    """Builds and checks the dataclass ``kind`` from the flags that `define` made."""
    settings = {}
    for spec in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = values[spec.name].value
        settings[spec.name] = tuple(value) if isinstance(value, list) else value
    return kind(**settings)


# Flags that were renamed. The flagfiles of stored runs have the old names.
RENAMED = {
    "bn_eval": "eval_statistics",
    "chunk_steps": "call_steps",
    "probes": "quantities",
}

# The flags that name files and folders.
_PATHS = ("run", "out", "archive", "data_dir", "compilation_cache", "name", "style")
_PATHS += ("experiments", "params")
# The flag for the run. Commands that work on several runs define it as a multi flag.
_ONE = "run"


def _words(argv: Sequence[str], values: flags.FlagValues) -> list[str]:
    """The words of a command line, with its flagfiles expanded, checked for parsing.

    Renamed flags get their new names.

    Raises:
      UserError: a flagfile is wrong (`normlab.flagfiles.expand`), a word is not text,
        or a flag's name is far too long.
    """
    one = _ONE in values and not isinstance(values[_ONE], flags.MultiFlag)
    words = expand(argv, (_ONE,) if one else (), list(values))
    for i, word in enumerate(words):
        if "\0" in word:
            raise UserError(f"{ascii(word)} is not text")
        check_text(word)
        # absl looks for flags with similar names, in time quadratic in the length.
        name, *value = word.partition("=")
        if name.startswith("-") and len(name) > _LONGEST_NAME:
            raise UserError(f"unknown flag {name}")
        renamed = RENAMED.get(name.lstrip("-"), "")
        if name.startswith("-") and renamed in values:
            words[i] = "".join([f"--{renamed}", *value])
    return words


def _check_paths(values: flags.FlagValues) -> None:
    """Checks the values of the flags in `_PATHS` that were given.

    Raises:
      UserError: a value is not a path (`normlab.words.check_path`).
    """
    for name in _PATHS:
        if name in values and values[name].present:
            given = values[name].value or ""
            for path in given if isinstance(given, list) else (given,):
                check_path(name, path)


def _define_common(values: flags.FlagValues) -> None:
    """Defines the flags that every command has."""
    flags.DEFINE_multi_string("allow", [], usage.ALLOW, flag_values=values)
    flags.DEFINE_boolean("verbose", False, usage.VERBOSE, flag_values=values)


def _allow(values: flags.FlagValues) -> None:
    """Allows the plugins that the user named, by --allow or by the flag itself."""
    plugins.allow(modules=values["allow"].value or ())
    allow_named({name: values[name].value for name in values if values[name].present})


def _helping(program: str, doc: str, group: str) -> Callable[[flags.FlagValues], None]:
    """A command that prints the help of another."""
    return lambda values: print(
        usage.text(program, doc, {name: values[name] for name in values}, group)
    )


def _degrade() -> None:
    """Lets output escape characters that its encoding lacks (``\\u2026``)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not None, nor a notebook's
            stream.reconfigure(errors="backslashreplace")


def _leave(status: int, at_once: bool) -> NoReturn:
    """Exits. ``at_once`` means not to wait for a program that runs on a device.

    A normal exit waits, perhaps for minutes, until XLA has finished computing or
    compiling. Nobody needs the result: files are closed and locks are free by then.
    """
    if at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _unread() -> bool:
    """Whether the reader of standard output has gone (``| head``); drops the rest."""
    if sys.platform == "win32":  # it cannot poll a pipe
        return False
    watched = select.poll()
    try:
        watched.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError):  # there is no output, or it is not a file
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

    A wrong flag, a missing flagfile, an unexpected word or a `UserError` from ``main``
    prints one line on standard error and exits with status 1. SIGTERM and SIGINT print
    one line and exit with 128 + the signal's number. If standard output is closed (for
    example by ``| head``), the command exits silently with 128 + SIGPIPE.

    Args:
      main: the command. It returns the exit status (None is 0).
      values: flags defined with ``flag_values=values``.
      program: the module's name, for messages (``normlab.sweep``).
      doc: the text above the flags in ``--help``.
      argv: the words after the program's name; ``sys.argv[1:]`` by default.
    """
    _degrade()
    _define_common(values)
    if argv is None:  # libraries have set up their logging by now
        logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    words = list(sys.argv[1:] if argv is None else argv)
    for group in map(usage.asked, words):
        if group is not None:
            words, main = [], _helping(program, doc, group)
    try:
        try:
            rest = values([program, *_words(words, values)])[1:]
        except flags.UnrecognizedFlagError as error:
            name, own = error.flagname, list(values)
            hint = did_you_mean(name, own, "--") or f"; see {program} --help"
            raise UserError(f"unknown flag --{name}{hint}") from error
        except flags.Error as error:
            raise UserError(one_line(error)) from error
        _check_paths(values)
        _allow(values)
        if rest:
            raise UserError(
                f"unexpected word {rest[0]!r}: write each setting as --name=value, one "
                "per line in a flagfile"
            )
        try:
            with raising():
                status = main(values)
                print(end="", flush=True)  # standard output may be closed
        except OSError as error:  # an unreadable folder, a full disk, ...
            if isinstance(error, BrokenPipeError) and _unread():
                status = _BROKEN_PIPE
            else:
                raise UserError(one_line(error)) from error
        except MemoryError as error:
            raise UserError(f"out of memory: {one_line(error)}") from error
    except Stopped as stop:
        print(stop.line(program), file=sys.stderr)
        _leave(128 + stop.signum, at_once=argv is None)
    except UserError as error:
        if values["verbose"].value:
            traceback.print_exception(error)
        print(f"{program}: error: {one_line(error)}", file=sys.stderr)
        status = 1
    if argv is None:
        at_end(status or 0)
    sys.exit(status or 0)
