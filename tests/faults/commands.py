"""Every command of normlab, called in this process, and what it may end in."""

import contextlib
import dataclasses
import importlib
import io
import pkgutil
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from absl import flags

import normlab
from normlab.flags import define, read, run


class Command(NamedTuple):
    """A module that ``python -m`` runs."""

    main: Callable
    values: Callable[[], flags.FlagValues]


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def commands() -> dict[str, Command]:
    """All of them, by the module's name."""
    found = {}
    for module in pkgutil.walk_packages(normlab.__path__, "normlab."):
        # normlab.__main__ only runs one of the others.
        if module.name.endswith(".__main__") and module.name.count(".") > 1:
            name = module.name.removesuffix(".__main__")
            found[name] = _command(importlib.import_module(module.name))
    return found


def _command(module) -> Command:
    if hasattr(module, "flag_values"):
        return Command(module.main, module.flag_values)
    # A benchmark: its settings are read, and nothing is timed.
    (kind,) = (
        value
        for name, value in vars(module).items()
        if dataclasses.is_dataclass(value) and name.endswith("Config")
    )
    assert isinstance(kind, type)

    def values() -> flags.FlagValues:
        found = flags.FlagValues()
        define(kind, found)
        return found

    return Command(lambda values: read(kind, values) and None, values)


def call(name: str, command: Command, argv: Sequence[str]) -> Ended:
    """Runs the command; its warnings are errors."""
    out, err = io.StringIO(), io.StringIO()
    status = None
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(action="error"),
            # As in a process of its own: what is strict in tests is not for users.
            jax.numpy_rank_promotion("allow"),
        ):
            run(command.main, command.values(), program=name, doc="Doc.", argv=argv)
    except SystemExit as stop:
        status = stop.code
    assert isinstance(status, int)
    return Ended(status, out.getvalue(), err.getvalue())


def assert_fine(name: str, ended: Ended) -> None:
    """It did what was asked, or says in one line why not."""
    if ended.status == 0:
        return
    assert ended.status == 1, ended
    assert ended.err.startswith(f"{name}: error: "), ended.err
    assert ended.err.count("\n") == 1 and ended.err.endswith("\n"), ended.err
    assert len(ended.err) < 2500
    assert "Traceback" not in ended.out + ended.err
