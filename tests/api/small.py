"""A sweep that takes a moment."""

from typing import Any

import normlab

SETTINGS: dict[str, Any] = {
    "dataset": "tiny",
    "model": "tiny",
    "init": "quick",
    "norm": ["none", "batch"],
    "optimizer": "sgd",
    "lr": [0.01, 0.1],
    "num_seeds": 2,
    "batch_size": 8,
    "steps": 6,
    "eval_every": 3,
    "train_eval_size": 16,
    "eval_batch_size": 10,
    "devices": 1,
    "compilation_cache": "none",
}


def run(out: Any, **changes: Any) -> "normlab.Run":
    """`normlab.run` with `SETTINGS`, which is silent."""
    return normlab.run(**{"progress": False, "out": out} | SETTINGS | changes)


def words(out: Any) -> list[str]:
    """The same sweep as a command line."""
    settings = SETTINGS | {"norm": "none,batch", "lr": "0.01,0.1", "out": out}
    return [f"--{name}={value}" for name, value in settings.items()]
