"""The paths of a run directory, and files that are either complete or absent.

::

    RUN/sweep.json  flags.txt
        cells/<id>/cell.json
                   progress.json        while it runs: how far it is
                   error.txt            if it failed: where
                   metrics/part-<step>.parquet
                   checkpoints/<step>/     resumable states, the last few
                   path/<step>/            parameters and statistics along training
                   probes/<quantity>/part-<step>.parquet   measured while training
                   analysis/<quantity>.parquet             measured from the path
                   landscapes/<kind>-<hash>/   losses around points of the path
        summary.csv  figures/  tensorboard/

Files named lock are empty. A process that writes holds a lock on them.
"""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.errors import Unwritable, UserError
from normlab.words import check_text

_DIGEST = "sha256"


@dataclass(frozen=True)
class CellPaths:
    """The files of one cell."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "cell.json"

    @property
    def progress(self) -> Path:
        return self.root / "progress.json"

    @property
    def error(self) -> Path:
        return self.root / "error.txt"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def path(self) -> Path:
        return self.root / "path"

    @property
    def probes(self) -> Path:
        return self.root / "probes"

    @property
    def analysis(self) -> Path:
        return self.root / "analysis"

    @property
    def landscapes(self) -> Path:
        return self.root / "landscapes"

    @property
    def lock(self) -> Path:
        return self.root / "lock"


@dataclass(frozen=True)
class RunPaths:
    """The files of one run. ``root`` is absolute: Orbax refuses relative paths."""

    root: Path

    @classmethod
    def at(cls, folder: str | Path) -> "RunPaths":
        """The run at ``folder``, which need not exist; ``~`` is the home folder.

        Raises:
          UserError: no folder can have that name.
        """
        try:
            root = Path(folder).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"cannot use the folder {str(folder)!r}: {error}") from None
        check_text(str(root))
        return cls(root)

    @property
    def sweep(self) -> Path:
        return self.root / "sweep.json"

    @property
    def flags(self) -> Path:
        return self.root / "flags.txt"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tensorboard"

    @property
    def summary(self) -> Path:
        return self.root / "summary.csv"

    @property
    def summary_lock(self) -> Path:
        return self.root / "summary.lock"

    @property
    def cells(self) -> Path:
        return self.root / "cells"

    def cell(self, cell_id: str) -> CellPaths:
        return CellPaths(self.cells / cell_id)


def each_once(runs: Iterable[str | Path]) -> list[RunPaths]:
    """The directories of several ``--run=``.

    Raises:
      UserError: one is given twice.
    """
    run_paths = [RunPaths.at(run) for run in runs]
    roots = [paths.root for paths in run_paths]
    twice = [root for root in roots if roots.count(root) > 1]
    if twice:
        raise UserError(f"--run={twice[0]} is given twice")
    return run_paths


def exists(path: Path) -> bool:
    """Whether ``path`` exists.

    Raises:
      UserError: it cannot be checked, because a folder is not readable or a name is too
        long.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UserError(f"cannot use {path}: {error.strerror or error}") from error
    return True


def is_temporary(path: Path) -> bool:
    """Whether ``path`` is a temporary name of `replacing`."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name to write to. At the end, the file is renamed to ``path``.

    The data is on the disk before the rename, so a crash leaves either the old file or
    the new one. An error removes the temporary file.

    Raises:
      Unwritable (a UserError): the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise Unwritable(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """That a file can be written, before long work for it. Its folder is made.

    Raises:
      Unwritable (a UserError): it is a folder, or a file is in the place of its folder,
        or nothing can be written there.
    """
    if path.is_dir():
        raise Unwritable(f"{path} is a folder, in the place of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        # Of a file in the place of a folder, the system says "File exists".
        blocked = isinstance(error, FileExistsError | NotADirectoryError)
        reason = "a file is in its place" if blocked else error.strerror or error
        raise Unwritable(f"cannot write to {path.parent}: {reason}") from error


def _sync_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` survive a loss of power."""
    if sys.platform == "win32":  # it opens no folders, and its renames are in a journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON object with its digest, completely or not at all."""
    write_text(path, json.dumps({**value, _DIGEST: _digest(value)}, indent=2) + "\n")


def _digest(value: dict[str, Any]) -> str:
    """sha256 of ``value``, in the form in which it will be read back."""
    text = json.dumps(json.loads(json.dumps(value)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, without its digest. A file from before digests is not checked.

    Raises:
      UserError: the file is missing or damaged, or does not contain an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: not a JSON object")
    wanted = value.pop(_DIGEST, None)
    if wanted is not None and wanted != _digest(value):
        raise UserError(f"{path} is damaged: its digest differs")
    return value


def numbered(folder: Path, prefix: str = "", suffix: str = "") -> dict[int, Path]:
    """Step -> entry of ``folder`` named ``<prefix><step><suffix>``, by step."""
    by_number = {}
    if folder.is_dir():
        for entry in folder.iterdir():
            name = entry.name
            middle = name[len(prefix) : len(name) - len(suffix)]
            whole = name == f"{prefix}{middle}{suffix}"
            if whole and middle.isascii() and middle.isdigit():
                by_number[int(middle)] = entry
    return dict(sorted(by_number.items()))
