"""Tables of runs that were made up, as `normlab.store.load` would give them."""

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from normlab.settings import PLAIN
from tests.cells import cell_config

# What the small network's claims ask for, at a length that a test can afford.
CIFAR: dict[str, Any] = {
    "dataset": "cifar10",
    "train_size": 50000,
    "batch_size": 50,
    "batch_order": "shuffled",
    "norm_init": "standard",
    "train_eval": "fixed",
}
REPORT: dict[str, Any] = {
    **CIFAR,
    "init": "report",
    "batch_order": "report",
    "train_eval": "current",
}
REPORT_BATCH: dict[str, Any] = {
    "norm_scale": False,
    "epsilon": 1e-3,
    "norm_dense": True,
}

Curve = Callable[[int, float], float]


def frame(
    norm: str = "none",
    *,
    seeds=range(5),
    lr: float = 1e-3,
    epochs: int = 20,
    until: int | None = None,
    test: Curve | float = 0.7,
    train: Curve | float = 0.9,
    loss: Curve | float = 0.5,
    more: dict[str, Any] | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """One cell, with a row an epoch.

    Args:
      until: the last epoch that was stored.
      test, train, loss: accuracies and batch loss, by seed and share of the training.
      more: further columns.
    """
    known = {f.name for f in dataclasses.fields(cell_config())}
    own = {k: v for k, v in settings.items() if k in known}
    groups = 4 if norm == "group" else None
    config = dataclasses.replace(
        cell_config(), **{"norm": norm, "groups": groups} | own
    )
    per_epoch = config.train_size // config.batch_size
    fixed = dataclasses.asdict(config) | settings
    fixed |= {"steps": epochs * per_epoch, "eval_every": per_epoch}
    fixed |= {"eval_statistics": ",".join(config.eval_statistics), "quantities": ""}
    name = "-".join([f"{k}={fixed[k]}" for k in sorted(fixed)] + [f"lr={lr}"])
    shift = zlib.crc32(name.encode())
    rows = []
    for member, seed in enumerate(seeds):
        for epoch in range(1 + (epochs if until is None else until)):
            at = epoch / epochs
            rows.append(
                {
                    "grouping": "sequential",
                    **PLAIN,
                    **fixed,
                    "cell": name,
                    "member": member,
                    "seed": seed,
                    "lr": lr,
                    "momentum": 0.0,
                    "weight_decay": 0.0,
                    "step": epoch * per_epoch,
                    "batch_loss": _value(loss, seed, at, shift),
                    "train_loss": _value(loss, seed, at, shift),
                    "train_accuracy": _value(train, seed, at, shift),
                    "test_loss": _value(loss, seed, at, shift),
                    "test_accuracy": _value(test, seed, at, shift),
                    "diverged": False,
                    **(more or {}),
                }
            )
    table = pd.DataFrame(rows)
    table["groups"] = table["groups"].astype(float)
    return table


def _value(curve: Curve | float, seed: int, at: float, shift: int = 0) -> float:
    """The value of a curve, which differs from other cells' by less than 1e-6.

    Over five seeds, this makes no difference on average. But differences of the same
    size for all seeds would be no sample (`normlab.statistics.paired`).
    """
    if not callable(curve):
        return curve
    spread = (seed * (1 + shift % 4)) % 5 - 2
    return curve(seed, at) + 1e-9 * (10 + shift % 97) * spread


def run(*frames: pd.DataFrame) -> pd.DataFrame:
    """Cells as one run."""
    return pd.concat(frames, ignore_index=True)


def spread(centre: float, by: float = 0.002) -> Curve:
    """Values that differ between seeds."""
    return lambda seed, at: centre + by * float(np.sin(7 * seed + 1))
