"""The text of ``--help``: the flags of a command, in groups shorter than a screen.

The groups are those of the settings' declarations (`normlab.settings.declare.Group`).
"""

import shutil
import textwrap
from collections.abc import Mapping
from typing import Any

from normlab import commands
from normlab.errors import UserError
from normlab.settings.declare import AXIS_TAGS, Group

# Flags that are no settings, such as those of a command without settings.
_OTHERS = Group("command", "What to work on, and messages.")
# A command with so few flags explains them at once.
_FEW = 12
_WIDEST = 100
# Of the flags that every command has.
ALLOW = (
    "A module or package of your own code that a stored run may import, for a norm or "
    "model given as module:attribute. May be repeated."
)
VERBOSE = "Say more: tracebacks of errors, and in a plan how members run and why."
# What absl adds to the help of a flag that may be repeated. Ours says it.
_ABSL = "; repeat this option to specify a list of values"
_AXES = (
    "[static] and [member] flags take a list of values. Each value of a static flag "
    "is a program (cell) of its own; those of a member flag run through one program."
)
_FLAGFILE = "Read more flags from this file (one per line)."


def asked(word: str) -> str | None:
    """What a word of the command line asks for, or None if it does not ask for help.

    Returns:
      a group's name, ``""`` for the groups, or ``full`` for every flag.
    """
    if word in ("--help", "-h", "-help"):
        return ""
    if word == "--helpfull":
        return "full"
    return word.partition("=")[2] if word.startswith("--help=") else None


def text(program: str, doc: str, values: Mapping[str, Any], group: str) -> str:
    """The help of a command.

    Args:
      program: the command's module.
      doc: the text above the flags.
      values: the flags by name: absl's Flag, with a ``group`` if it is a setting's.
      group: what was asked for (`asked`).

    Raises:
      UserError: there is no such group.
    """
    groups: dict[str, tuple[Group, dict[str, Any]]] = {}
    for name in values:
        own = getattr(values[name], "group", _OTHERS)
        groups.setdefault(own.name, (own, {}))[1][name] = values[name]
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    called = commands.as_called(program)
    if group not in ("", "full"):
        if group not in groups:
            known = ", ".join(groups)
            raise UserError(f"--help={group}: there is no such group; known: {known}")
        return "\n".join(_details(*groups[group], width))
    lines = [doc.strip(), ""]
    few = len(values) <= _FEW or len(groups) == 1
    if group == "full" or few:
        lines.append(f"flags of {called}:")
        for entry in groups.values():
            details = _details(*entry, width)
            lines += ["", *details] if len(groups) > 1 else details[1:]
        lines += _flag("flagfile", None, _FLAGFILE, width)
    else:
        lines += textwrap.wrap(
            f"flags of {called}, by group. --help=GROUP explains a group, --helpfull "
            "all of them. --flagfile=FILE reads flags from a file.",
            width,
        )
        lines.append("")
        for own, flags in groups.values():
            lines += [own.line, *_names(flags, width)]
    return "\n".join(lines)


def _names(flags: Mapping[str, Any], width: int) -> list[str]:
    names = " ".join(f"--{name}" for name in flags)
    indent = "  "
    return textwrap.wrap(
        names,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _details(group: Group, flags: Mapping[str, Any], width: int) -> list[str]:
    lines = [group.line]
    if any((flag.help or "").endswith(AXIS_TAGS) for flag in flags.values()):
        lines += textwrap.wrap(_AXES, width)
    for name, flag in flags.items():
        lines += _flag(name, flag.default, flag.help or "", width)
    return lines


def with_default(name: str, default: Any) -> str:
    """A flag as it would be given: ``--lr=0.001``; only its name if it has no value."""
    items = default if isinstance(default, list) else [default]
    shown = ",".join(str(x).lower() if isinstance(x, bool) else str(x) for x in items)
    return f"--{name}={shown}" if default not in (None, "", []) else f"--{name}"


def _flag(name: str, default: Any, help: str, width: int) -> list[str]:
    """A flag with its default, and its text in the lines below."""
    return textwrap.wrap(
        f"{with_default(name, default)}  {' '.join(help.split()).removesuffix(_ABSL)}",
        width,
        initial_indent="  ",
        subsequent_indent="      ",
        break_on_hyphens=False,
        drop_whitespace=True,
    )
