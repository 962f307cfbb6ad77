"""Runs with metrics and quantities that were made up, through the store alone."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from normlab.cell import Cell, Member
from normlab.data.tasks import REGRESSIONS
from normlab.norms.taps import Place
from normlab.quantities import QUANTITIES, Site
from normlab.store.layout import RunPaths
from normlab.store.quantities import ProbeRecorder, to_table
from tests.cells import cell_config
from tests.store.handmade import write_run

STEPS = (0, 10, 20)
LAYERS = ("conv1", "norm1", "conv2", "norm2", "dense1", "dense2")
# The quantities that figures read -> their fields.
FIELDS = {
    "gradient_norm": ("l2",),
    "parameter_norm": ("l2",),
    "loss_range": ("here", "low", "high"),
    "effective_smoothness": (
        "beta",
        "loss",
        "distance",
        "difference",
        "norm_ratio",
        "cosine",
    ),
    "internal_covariate_shift": ("difference", "cosine", "l2", "l2_after"),
    "activation_moments": ("mean", "std"),
    "activation_histogram": ("count", "left", "right"),
    "hessian_top": ("eigenvalue", "residual"),
    "hessian_density": ("value", "weight"),
    "identities": (
        "relative_error",
        "printed_ratio",
        "removed",
        "removed_if_random",
        "gain_median",
        "gain_max",
    ),
}


def cell(
    norm: str,
    *,
    lrs: Iterable[float] = (0.05, 0.1),
    decays: Iterable[float] = (0.0,),
    seeds: int = 3,
    **changes,
) -> Cell:
    """A cell of seeds x learning rates x weight decays."""
    if norm == "group":
        changes["groups"] = 4
    config = cell_config(norm=norm, optimizer="sgd", probe_bins=6, **changes)
    members = [
        Member(seed, lr, 0.0, decay)
        for seed in range(seeds)
        for lr in lrs
        for decay in decays
    ]
    return Cell(config, tuple(members))


VGG: dict[str, Any] = {"model": "vgg16", "dataset": "cifar10", "lrs": (0.1,)}
LINEAR: dict[str, Any] = {"model": "deep_linear", "dataset": "gaussian", "lrs": (1e-6,)}
UNIFORM: dict[str, Any] = {**LINEAR, "dataset": "gaussian_uniform"}
LP: list[dict[str, Any]] = [
    {"norm": "batch_lp", "norm_p": p} for p in ("1", "2", "inf")
]
KINDS: list[dict[str, Any]] = [{"norm": norm} for norm in ("none", "batch")]

RUNS: dict[str, list[Cell]] = {
    "plain": [cell(norm) for norm in ("none", "batch", "group")],
    "one seed": [cell(norm, seeds=1) for norm in ("none", "batch")],
    "vgg": [cell(**kind, decays=(0.0, 5e-4), **VGG) for kind in (*KINDS, *LP)],
    "linear": [cell(**kind, **LINEAR) for kind in (*KINDS, *LP)],
    "uniform": [cell(**kind, **UNIFORM) for kind in (*KINDS, *LP)],
}


def write(
    folder: Path, cells: Iterable[Cell], names: Iterable[str] = tuple(FIELDS),
    *, nowhere: bool = False,
) -> RunPaths:  # fmt: skip
    """A run with the metrics and these quantities of every cell.

    Args:
      nowhere: whether every value is NaN.
    """
    cells = tuple(cells)
    linear = any(own.config.dataset in REGRESSIONS for own in cells)
    known: dict[str, Any] = {"score": lambda member, step: math.nan} if linear else {}
    paths = write_run(folder, cells, **known)
    for place, own in enumerate(cells):
        recorder = ProbeRecorder(paths.cell(own.id))
        site = Site(
            settings=own.config,
            layers={name: (i,) for i, name in enumerate(LAYERS)},
            places=(Place("norm1", 2), Place("norm2", 4)),
            statistics=("batch", "running"),
        )
        for name in names:
            axes = QUANTITIES[name].axes
            labels = {axis: site.labels(axis) for axis in axes}
            shape = (len(own.members), *(len(labels[axis]) for axis in axes))
            for step in STEPS:
                random = np.random.default_rng([place, step])
                fields = _values(name, shape, random)
                if nowhere:
                    fields = {k: np.full(shape, math.nan) for k in fields}
                recorder.add(name, to_table(step, fields, axes, labels))
        recorder.flush(STEPS[-1])
    return paths


def _values(name: str, shape: tuple[int, ...], random) -> dict[str, np.ndarray]:
    found = {field: random.lognormal(size=shape) for field in FIELDS[name]}
    if name == "loss_range":
        found["high"] = found["low"] + found["high"]
    if name == "activation_histogram":
        found["left"] = np.broadcast_to(np.arange(shape[-1]) - 2.0, shape)
        found["right"] = found["left"] + 1
    if name == "hessian_density":
        found["weight"] /= found["weight"].sum(-1, keepdims=True)
    if "cosine" in found:
        found["cosine"] = np.cos(found["cosine"])
    return found
