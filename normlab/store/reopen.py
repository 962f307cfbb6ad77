"""Whether a folder is free for a run, or belongs to a run of the same configuration."""

import json
from collections.abc import Sequence
from typing import Any

from normlab.cell import Cell
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.serialize import to_json
from normlab.settings import earlier, stored_names
from normlab.store.layout import RunPaths, exists, is_temporary, read_json
from normlab.store.links import check_links
from normlab.store.lock import is_held
from normlab.store.provenance import plugins_of

FORMAT = 3


def new_record(
    config: SweepConfig,
    cells: Sequence[Cell],
    before: Sequence[SweepConfig] = (),
    adopted: bool = False,
) -> dict[str, Any]:
    """What ``sweep.json`` says of a run that begins.

    Args:
      before, adopted: as in `normlab.store.run.open_run`.
    """
    new = {
        "format": FORMAT,
        "config": as_json(config),
        "cells": [cell.id for cell in cells],
        "sessions": [],
    }
    plugins = plugins_of(config)
    new |= {"plugins": plugins} if plugins else {}
    new |= {"adopted": True} if adopted else {}
    if before:
        new["extended"] = [as_json(one) for one in before]
    return new


def as_json(config: SweepConfig) -> dict[str, Any]:
    """A configuration as ``sweep.json`` stores it."""
    return json.loads(to_json(config))


def reopened(paths: RunPaths, new: dict[str, Any]) -> dict[str, Any] | None:
    """The record of the run in the folder; None if the folder is free for a new run.

    If ``new`` extends the run, the record is of the extended run.

    Raises:
      UserError: the folder is neither free nor that of a run like ``new``.
    """
    # Checked twice, because the other files may belong to a run that has just begun.
    if not exists(paths.sweep) and _has_files(paths) and not exists(paths.sweep):
        _check_lost(paths, new["cells"])
    if not exists(paths.sweep):
        return None
    check_links(paths)
    record = read_json(paths.sweep)
    kinds = {"thin": "a thin copy of a run", "adopted": "an adopted run"}
    for name, kind in kinds.items():
        if record.get(name):
            raise UserError(
                f"--out={paths.root} is {kind}, which cannot be resumed; choose "
                "another --out"
            )
    _check_readable(paths, record)
    before = new.get("extended", [])
    adds = before and differing(record, new["config"])
    if adds and not differing(record, before[-1]):
        _check_idle(paths, record)
        return new | {"sessions": record["sessions"]}
    _check_same(paths, record, new)
    return record


def _check_idle(paths: RunPaths, record: dict[str, Any]) -> None:
    for name in record["cells"]:
        if is_held(paths.cell(name).lock):
            raise UserError(
                f"--extend: another process is running {paths.cell(name).root}; extend "
                "the run when it has ended"
            )


def _check_lost(paths: RunPaths, cells: list[str]) -> None:
    """Checks that files without a sweep.json belong to a run of ``cells``.

    If so, sweep.json is written again.

    Raises:
      UserError: they do not.
    """
    ids = {x.name for x in paths.cells.iterdir()} if paths.cells.is_dir() else set()
    if not ids:
        raise UserError(
            f"--out={paths.root} contains files of something else; choose another --out"
        )
    if not ids <= set(cells):
        raise UserError(
            f"{paths.sweep} is missing, and the cells beside it belong to another "
            "configuration; choose another --out"
        )


def _has_files(paths: RunPaths) -> bool:
    """Whether the folder contains anything that a killed start did not leave there."""
    try:
        return exists(paths.root) and any(
            not is_temporary(file) and file != paths.lock
            for file in paths.root.iterdir()
        )
    except OSError as error:
        raise UserError(f"cannot use --out={paths.root}: {error.strerror}") from error


def _check_readable(paths: RunPaths, record: dict) -> None:
    if record.get("format") != FORMAT:
        raise UserError(
            f"{paths.sweep} has format {record.get('format')}; this normlab reads "
            f"{FORMAT}"
        )
    old = record.get("config")
    if not isinstance(old, dict) or not isinstance(record.get("sessions"), list):
        raise UserError(f"{paths.sweep} is damaged: it has no config or no sessions")


def differing(record: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """The stored names of the settings in which a run's record differs from a config.

    A setting that the run does not name was added later, and has its old value.
    """
    old = {**earlier(SweepConfig), **record["config"]}
    return [k for k in {**old, **config} if old.get(k) != config.get(k)]


def _check_same(paths: RunPaths, record: dict, wanted: dict) -> None:
    odd = differing(record, wanted["config"])
    if not odd and record.get("cells") != wanted["cells"]:
        raise UserError(
            f"--out={paths.root} was begun by another version of normlab, which made "
            "other cells; choose another --out"
        )
    if odd:
        name = odd[0]
        flags = {stored: flag for flag, stored in stored_names(SweepConfig).items()}
        old = {**earlier(SweepConfig), **record["config"]}
        raise UserError(
            f"--out={paths.root} has another configuration "
            f"(--{flags.get(name, name)}: {old.get(name)} there, "
            f"{wanted['config'].get(name)} requested); choose another --out, or add "
            "values, seeds or steps with --extend"
        )
