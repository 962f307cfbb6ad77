"""The origin of a run's results: question, flags, revision, versions and cells."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import normlab
from normlab.config import SweepConfig
from normlab.flagfiles import line
from normlab.settings import settings_of
from normlab.store.layout import CellPaths, RunPaths, exists, read_json
from normlab.store.load import begun_cells, cell_ids
from normlab.store.run import cell_status, read_cell

# Specific to one machine; whoever repeats the run chooses another.
_OWN = "--out="
_QUESTION = "question:"


class CellState(NamedTuple):
    """The state of a cell."""

    id: str
    label: str
    members: int
    status: str
    step: int
    steps: int
    seconds: float | None


class Origin(NamedTuple):
    """The origin of a run's results.

    Attributes:
      question: the question in the lab note, or "".
      note: the lab note (the leading comment of the run's flagfile), or "".
      changed: the flags that differ from their defaults, one per line.
      flags: a flagfile that repeats the run.
      sessions: one stamp per start: ``started``, ``device``, ``revision``,
        ``versions``.
      cells: the cells that have started.
      planned: the number of cells in the sweep.
    """

    question: str
    note: str
    changed: list[str]
    flags: str
    sessions: list[dict[str, Any]]
    cells: list[CellState]
    planned: int

    @property
    def complete(self) -> bool:
        done = [cell.status == "complete" for cell in self.cells]
        return all(done) and len(done) == self.planned

    @property
    def revisions(self) -> list[str]:
        """The revisions that computed the run, without repetition."""
        revisions = [session.get("revision") for session in self.sessions]
        return list(dict.fromkeys(str(x) for x in revisions if x))


def read_origin(run: str | Path, frame: pd.DataFrame) -> Origin:
    """Reads the origin of a run.

    Args:
      run: the run directory.
      frame: the run's table from `normlab.store.load`.

    Raises:
      UserError: a file of the run is missing or damaged.
    """
    paths = RunPaths.at(run)
    sweep = read_json(paths.sweep)
    note = _lab_note(paths.root.name)
    flags = (
        paths.flags.read_text("utf-8", errors="replace") if exists(paths.flags) else ""
    )
    lines = [line for line in flags.splitlines() if not line.startswith(_OWN)]
    reached = frame.groupby("cell")["step"].max()
    cells = [_state(cell, reached) for cell in begun_cells(paths)]
    return Origin(
        _question(note),
        note,
        _changed(_dict(sweep.get("config"))),
        "\n".join(lines),
        _sessions(sweep.get("sessions")),
        cells,
        len(cell_ids(paths)),
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _sessions(stored: Any) -> list[dict[str, Any]]:
    """The stamps. Only their text values are kept."""
    stamps = []
    for session in stored if isinstance(stored, list) else []:
        stamp: dict[str, Any] = _words(session)
        stamps.append(stamp | {"versions": _words(_dict(session).get("versions"))})
    return stamps


def _words(value: Any) -> dict[str, str]:
    return {k: v for k, v in _dict(value).items() if isinstance(v, str)}


def _state(paths: CellPaths, reached: pd.Series) -> CellState:
    cell, notes = read_cell(paths), read_json(paths.config)
    return CellState(
        cell.id,
        cell.label,
        len(cell.members),
        cell_status(paths),
        int(reached.get(cell.id, 0)),
        cell.config.steps,
        notes.get("run_seconds"),
    )


def _changed(config: dict[str, Any]) -> list[str]:
    lines = []
    for field, setting in settings_of(SweepConfig):
        default = field.default
        default = list(default) if isinstance(default, tuple) else default
        value = config.get(setting.stored_as or field.name, default)
        if value != default:
            lines.append(line(field.name, value))
    return lines


def _lab_note(name: str) -> str:
    """The comment at the top of ``experiments/<name>.flags``, or ""."""
    for root in (Path.cwd(), Path(normlab.__file__).parent.parent):
        path = root / "experiments" / f"{name}.flags"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            comment = re.match(r"(?:#.*(?:\n|\Z))+", text)
            lines = comment[0].splitlines() if comment else []
            return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
    return ""


def _question(note: str) -> str:
    first = " ".join(note.split("\n\n")[0].split())
    if not first.lower().startswith(_QUESTION):
        return ""
    text = first[len(_QUESTION) :].strip()
    return text[:1].upper() + text[1:]
