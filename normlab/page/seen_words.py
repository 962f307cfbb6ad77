"""The words of the sentences on what is seen: values, settings, places, quantities."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from normlab.page.finals import label_words, most_decimals
from normlab.settings.phrases import joined, phrase
from normlab.statistics.digits import interval_text, plain

_NAMES = {
    "beta": "effective smoothness",
    "difference": "change of the gradient",
    "cosine": "cosine of the gradients before and after the other layers' update",
    "gradient_norm": "norm of the gradient",
    "relative_error": "relative error of the identity",
    "removed": "share of the gradient that the norm removes",
    "penalized": "loss with its penalty",
    "gradient_norm_layers": "norm of the gradient",
    "santurkar_11": "change of the gradient",
}


def quantity(metric: str) -> str:
    """The name of a metric or quantity in a sentence."""
    return _NAMES.get(metric, metric.replace("_", " ")) or "value"


def told(row: pd.Series, compared: str, metric: str) -> str:
    """A value of a metric, of which setting it is, and whether its networks guess."""
    failed = f" ({row['failed']})" if row.get("failed") else ""
    return f"{value_text(row, metric)} {with_words(compared, row)}{failed}"


def value_text(row: pd.Series, metric: str) -> str:
    """A median of a metric with its interval, if it has one."""
    if "low" not in row or row["low"] == row["median"] == row["high"]:
        return plain(float(row["median"]))
    ends = (float(row["low"]), float(row["high"]))
    return interval_text(float(row["median"]), *ends, most=most_decimals(metric))


def with_words(compared: str, row: pd.Series) -> str:
    """Which of the compared settings a row shows: ``with batch``, ``with 4 groups``."""
    value = str(row[compared])
    if value == "none":
        return "without a norm"
    if compared == "groups":
        many = f"{value} {'group' if value == '1' else 'groups'}"
        return f"with {many if value.isdecimal() else f'{value} norm'}"
    if compared != "setting":
        return phrase(compared, value)
    return joined(label_words(value))


def where_words(names: Sequence[str], place: Any, rows: pd.DataFrame) -> str:
    """A place in words, without what is the same in all rows.

    Args:
      names: the columns that make the place.
      place: its value, or a tuple of values, one per column.
    """
    values = place if isinstance(place, tuple) else (place,)
    words = []
    for name, value in zip(names, values, strict=True):
        if rows[name].nunique() < 2 or not str(value) or value != value:
            continue
        if name in ("point", "setting", "rest"):
            words += label_words(str(value))
        elif name in ("layer", "norm_layer"):
            words.append(f"in {value}")
        else:
            words.append(phrase(name, str(value)))
    return joined(words)


def counted_names(names: Iterable[str]) -> str:
    """Names, each once: ``with batch (2 times), without a norm``."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(
        f"{name} ({count} times)" if count > 1 else name
        for name, count in counts.items()
    )
