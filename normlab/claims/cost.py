"""What training costs: an estimate, from a network's arithmetic and measured rates.

The rates are those of one H100 and of two cores of a new CPU (docs/speed.md). They are
for many members at once. An estimate may be off by a factor of two; older CPUs take up
to three times as long.
"""

import numpy as np
import pandas as pd

CPU, GPU = "two CPU cores", "an H100"
# Multiply-adds of a forward pass, for one example and a width of 1.
_PRODUCTS = {
    "small_cnn": 2.1e6,
    "vgg11": 153e6,
    "vgg16": 313e6,
    "resnet20": 41e6,
    "resnet56": 127e6,
    "deep_linear": 2.5e3,
}
# Operations per second in training steps; on the GPU, VGG and ResNet in TF32.
_RATES = {
    GPU: {
        "small_cnn": 10e12,
        "vgg11": 88e12,
        "vgg16": 88e12,
        "resnet20": 32e12,
        "resnet56": 32e12,
        "deep_linear": 6e9,
    },
    CPU: {"small_cnn": 100e9, "deep_linear": 6e9},
}
_OTHER = {GPU: 10e12, CPU: 35e9}
# A step does not get faster with fewer examples than this. Networks of many layers
# start many small kernels on a GPU.
_LEAST_BATCH = {
    GPU: {"resnet20": 48, "resnet56": 48},
    CPU: {},
}
_LEAST_OTHER = {GPU: 16, CPU: 4}
# A gradient is two passes backward for one forward; a multiply-add is two operations.
_PASSES, _OPERATIONS = 3, 2
# A measurement of the loss along the gradient takes about as many gradients.
_PROBE = 4
_TEST_EXAMPLES = 10_000


def seconds(members: pd.DataFrame, device: str) -> float:
    """The seconds that all members take together, without compilation.

    Args:
      members: a row for each, with its settings (`normlab.store.load`).
      device: `CPU` or `GPU`.
    """
    if members.empty:
        return 0.0
    model = members["model"].astype(str)
    products = model.map(_PRODUCTS).fillna(_PRODUCTS["small_cnn"]).to_numpy(float)
    rate = model.map(_RATES[device]).fillna(_OTHER[device]).to_numpy(float)
    least = model.map(_LEAST_BATCH[device]).fillna(_LEAST_OTHER[device])
    batch = np.maximum(members["batch_size"].to_numpy(float), least.to_numpy(float))
    example = products * members["width"].to_numpy(float) ** 2 * _OPERATIONS * _PASSES
    steps = members["steps"].to_numpy(float)
    trained = (steps + _gradients(members)) * batch + _evaluated(members) / _PASSES
    return float((trained * example / rate).sum())


def _gradients(members: pd.DataFrame) -> np.ndarray:
    """The gradients that the measurements of each member take."""
    asked = members["quantities"].map(len).to_numpy(float) > 0
    every = np.maximum(members["probe_every"].to_numpy(float), 1)
    count = members["steps"].to_numpy(float) / every
    return np.where(asked, _PROBE * count, 0.0)


def _evaluated(members: pd.DataFrame) -> np.ndarray:
    """The examples that each member is evaluated on."""
    every = np.maximum(members["eval_every"].to_numpy(float), 1)
    times = 1 + np.ceil(members["steps"].to_numpy(float) / every)
    images = members["train_eval_size"].to_numpy(float) + _TEST_EXAMPLES
    images = images + members["validation"].to_numpy(float)
    kinds = [_kinds(names) for names in members["eval_statistics"]]
    count = np.array([len(names) for names in kinds], float)
    # Precise statistics are taken over all training images.
    precise = np.array(["precise" in names for names in kinds], float)
    return times * (images * count + precise * members["train_size"].to_numpy(float))


def _kinds(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(names.split(",")) if isinstance(names, str) else tuple(names)


def duration(seconds: float) -> str:
    """``40 s``, ``12 minutes`` or ``35 hours``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"
