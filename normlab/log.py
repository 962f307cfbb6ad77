"""What `normlab.probe` found along somebody's own training, as tables and figures."""

import dataclasses
import json
from pathlib import Path
from typing import Any, get_type_hints

import jax
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normlab.cell import CellConfig, Member
from normlab.errors import UserError
from normlab.figures import FIGURES, METRICS, check
from normlab.figures.inline import shown_inline
from normlab.quantities import QUANTITIES
from normlab.quantities.found import Found
from normlab.settings.declare import without_none
from normlab.store.quantities import to_table

_OWN = "own network"
_SETTINGS = "log.json"
# A small table takes far more memory than its numbers, so this many become one.
_TOGETHER = 200


class Log:
    """Collects measurements along a training; gives tables and figures of them.

    ::

        log = normlab.Log(lr=0.1)
        log.add(step, measure(params, batch, lr=0.1))
        log.frame("effective_smoothness")  # a pandas table
        log.figure("santurkar_4")          # a matplotlib figure

    Args:
      unit: the unit of the loss in figures, such as ``nats``.
      settings: columns that describe the training: ``label`` (its name in figures),
        ``lr``, ``seed``, ``dataset``, ``model``, ``batch_size`` and the other columns
        of `normlab.store.load`. If a list is given, the arrays have members on their
        first axis, such as those of a ``vmap`` over seeds: ``Log(seed=[0, 1, 2])``.

    Raises:
      UserError: a setting is unknown, or two lists have different lengths.
    """

    def __init__(self, *, unit: str = "loss", **settings: Any):
        known = _defaults()
        for name in settings:
            if name not in known:
                raise UserError(f"Log({name}=...): unknown; known: {', '.join(known)}")
        settings = {
            name: list(x) if isinstance(x, list | tuple | np.ndarray) else x
            for name, x in settings.items()
        }
        counts = {len(x) for x in settings.values() if isinstance(x, list)}
        if len(counts) > 1:
            raise UserError(f"Log: lists of {sorted(counts)} members")
        self._settings, self._unit = settings, unit
        self._members = counts.pop() if counts else None
        self._tables: dict[str, list[pd.DataFrame]] = {}
        self._others: list[Log] = []

    def add(self, step: Any, found: Found) -> None:
        """Adds what was measured at the parameters after ``step`` updates.

        Args:
          step: an integer, or a vector of T integers for what a ``scan`` over T steps
            returned.
          found: what a function from `normlab.probe` returned. Its arrays are copied
            to the host.

        Raises:
          UserError: the arrays do not have the shapes of the labels.
        """
        if not isinstance(found, Found):
            raise UserError(
                "Log.add needs what a function from normlab.probe returned, not a "
                f"{type(found).__name__}"
            )
        found = jax.device_get(found)
        steps = np.asarray(step)
        for name, fields in found.items():
            axes = QUANTITIES[name].axes
            shape = tuple(len(found.labels[axis]) for axis in axes)
            lead = () if self._members is None else (self._members,)
            expected = (*steps.shape, *lead, *shape)
            for field, values in fields.items():
                if np.shape(values) != expected:
                    raise UserError(
                        f"{name}: {field} has the shape {np.shape(values)}, but the "
                        f"shape of its steps, members and labels is {expected}"
                    )
            for i, one in enumerate(steps.reshape(-1)):
                at = {
                    k: np.reshape(v, (steps.size, self._members or 1, *shape))[i]
                    for k, v in fields.items()
                }
                table = to_table(int(one), at, axes, found.labels).to_pandas()
                tables = self._tables.setdefault(name, [])
                tables.append(table)
                if len(tables) == _TOGETHER:
                    tables[:] = [pd.concat(tables, ignore_index=True)]

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that were measured."""
        names = dict.fromkeys(self._tables)
        for other in self._others:
            names |= dict.fromkeys(other.names)
        return tuple(names)

    def frame(self, name: str) -> pd.DataFrame:
        """A quantity as a tidy table, like that of `normlab.store.load_quantity`.

        It has a row for each (member, step, entry). Columns: ``label`` and the other
        settings of the log, ``member``, ``step``, one for each axis of the quantity and
        one for each of its fields.

        Raises:
          UserError: the quantity was not measured.
        """
        logs = [log for log in (self, *self._others) if log._settings]
        told = {"label"}.union(*(log._settings for log in logs))
        frame = self._whole(name)
        return frame[[c for c in frame if c in told or c not in _defaults()]]

    def _whole(self, name: str) -> pd.DataFrame:
        """`frame` with all columns of `normlab.store.load_quantity`."""
        if name not in self.names:
            measured = ", ".join(self.names) or "none"
            raise UserError(f"{name} was not added to the log (there: {measured})")
        frames = [other._whole(name) for other in self._others if name in other.names]
        if name in self._tables:
            rows = pd.concat(self._tables[name], ignore_index=True)
            rows = rows.sort_values(
                ["member", "step"], kind="stable", ignore_index=True
            )
            frames.insert(0, self._with_settings(rows))
        return pd.concat(frames, ignore_index=True)

    def figure(self, name: str) -> Figure:
        """Draws one of `normlab.figures.FIGURES` from the log. A notebook shows it.

        Raises:
          UserError: the figure is unknown, or it needs something that the log lacks.
        """
        check([name])
        drawing = FIGURES[name]
        if METRICS in drawing.reads:
            raise UserError(f"{name} needs the metrics of a run; a log has none")
        tables = [self._whole(quantity) for quantity in drawing.reads]
        table = drawing.tabulate(*tables)
        table = table.assign(loss_unit=self._unit) if "loss_unit" in table else table
        return shown_inline(drawing.draw(table))

    def beside(self, *others: "Log") -> "Log":
        """A log with the rows of this one and of ``others``, to compare trainings.

        Each needs a ``label`` of its own.

        Raises:
          UserError: two logs have the same settings.
        """
        logs = (self, *others)
        if len({json.dumps(log._settings, default=str) for log in logs}) < len(logs):
            raise UserError("logs with the same settings: give each a label")
        both = Log(unit=self._unit, **self._settings)
        both._tables, both._others = self._tables, [*self._others, *others]
        return both

    def save(self, folder: str | Path) -> None:
        """Writes a Parquet table of each quantity, and the settings, into ``folder``.

        Raises:
          UserError: this is a comparison of logs; save each of them.
        """
        if self._others:
            raise UserError("save each of the compared logs in a folder of its own")
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        for name, tables in self._tables.items():
            rows = pd.concat(tables, ignore_index=True)
            rows.to_parquet(path / f"{name}.parquet", index=False)
        text = json.dumps(self._settings | {"unit": self._unit}, default=_plain)
        (path / _SETTINGS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "Log":
        """Reads what `save` wrote.

        Raises:
          UserError: ``folder`` is not a saved log.
        """
        path = Path(folder)
        if not (path / _SETTINGS).is_file():
            raise UserError(f"{path} is not a saved log: it has no {_SETTINGS}")
        text = (path / _SETTINGS).read_text(encoding="utf-8")
        log = cls(**json.loads(text))
        for file in sorted(path.glob("*.parquet")):
            log._tables[file.stem] = [pd.read_parquet(file)]
        return log

    def _with_settings(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Adds the settings as columns in front of ``rows``."""
        settings = _defaults() | self._settings
        settings["cell"] = settings["label"]
        settings["steps"] = int(rows["step"].max())
        columns = {
            name: np.array(x)[rows["member"]] if isinstance(x, list) else x
            for name, x in settings.items()
        }
        head = pd.DataFrame(columns, index=rows.index)
        return pd.concat([head, rows], axis=1)


def _plain(value: Any) -> Any:
    """A scalar of numpy or JAX as one of Python, for JSON."""
    return np.asarray(value).item()


def _defaults() -> dict[str, Any]:
    """The columns of `normlab.store.load`, with values that say nothing."""
    columns: dict[str, Any] = {"cell": _OWN, "label": _OWN}
    for kind in (CellConfig, Member):
        hints = get_type_hints(kind)
        for spec in dataclasses.fields(kind):
            number = without_none(hints[spec.name]) in (int, float)
            columns[spec.name] = float("nan") if number else ""
    told = {"dataset": "own data", "model": "own network", "norm": "none", "seed": 0}
    return columns | told | {"width": 1.0, "lr": float("nan")}
