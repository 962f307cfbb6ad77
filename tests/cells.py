"""One whole `CellConfig`, from which tests make theirs."""

import dataclasses
from typing import Any

from normlab.cell import CellConfig

# Dataset -> the number of its training images, of those that flagfiles use.
SIZES = {
    "cifar10": 50000,
    "digits": 1500,
    "gaussian": 1000,
    "gaussian_uniform": 1000,
    "mnist": 60000,
}

_BASE = CellConfig(
    dataset="digits",
    train_size=100,
    standardize="channel",
    augment="none",
    model="small_cnn",
    width=1.0,
    init="standard",
    norm="batch",
    groups=None,
    regroup_at=0,
    regroup_every=0,
    epsilon=1e-5,
    norm_momentum=0.99,
    norm_scale=True,
    norm_bias=True,
    norm_init="standard",
    zero_last_scale=False,
    norm_dense=False,
    norm_p="2",
    noise_mean=0.5,
    noise_scale=1.25,
    noise_mean_spread=0.1,
    noise_scale_spread=0.1,
    noise_spread="std",
    noise_place="after",
    noise_eval=False,
    optimizer="adam",
    batch_size=10,
    batch_order="shuffled",
    precision="float32",
    schedule="constant",
    label_smoothing=0.0,
    decay_mask="all",
    accumulate=1,
    steps=20,
    eval_every=10,
    path_every=0,
    path_next=False,
    quantities=(),
    probe_every=0,
    train_eval_size=100,
    train_eval="fixed",
    eval_batch_size=50,
    eval_statistics=("running",),
)


def cell_config(**changes: Any) -> CellConfig:
    """Batch norm on the digits, 20 steps; ``changes`` are fields."""
    return dataclasses.replace(_BASE, **changes)
