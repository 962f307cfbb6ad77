"""The size of a sweep: ``python experiments/gpu/size.py NAME.flags [FLAG ...]``.

It prints the number of members and member-steps, and the time that they take. With
``--scale=0.01`` as the first word, it prints flags for a hundredth of the training.
"""

import dataclasses
import sys
from collections.abc import Sequence

import pandas as pd
from absl import flags

from normlab.claims.cost import CPU, GPU, duration, seconds
from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.run_options import RunOptions
from normlab.sweep.grid import expand

SIZES = {"cifar10": 50_000, "mnist": 60_000, "digits": 1500, "gaussian_uniform": 1000}
_COMPILING = 15.0  # seconds for a cell


def config_of(asked: Sequence[str]) -> SweepConfig:
    """The configuration of a command line."""
    values = flags.FlagValues()
    for kind in (SweepConfig, RunOptions):
        define(kind, values)
    values(["sweep", *asked])
    return read(SweepConfig, values)


def members(config: SweepConfig) -> pd.DataFrame:
    """A row for each member of a sweep, with its settings."""
    cells = expand(config, SIZES)
    settings = [(dataclasses.asdict(cell.config), cell) for cell in cells]
    rows = [own for own, cell in settings for _ in cell.members]
    return pd.DataFrame(rows)


def compiling(config: SweepConfig) -> float:
    """The seconds for the programs of all cells."""
    return _COMPILING * len(expand(config, SIZES))


def shorter(config: SweepConfig, scale: float) -> list[str]:
    """Flags for a share of the training, and as many evaluations."""
    if config.steps:
        steps = max(3, round(config.steps * scale))
        every = max(1, round((config.eval_every or 1) * scale))
        return [f"--steps={steps}", f"--eval_every={every}"]
    flags = [f"--epochs={config.epochs * scale:g}"]
    if config.eval_every:
        return [*flags, f"--eval_every={max(1, round(config.eval_every * scale))}"]
    return [*flags, f"--eval_epochs={config.eval_epochs * scale:g}"]


def main(asked: Sequence[str]) -> str:
    """The line to print."""
    scale = 0.0
    if asked[0].startswith("--scale="):
        scale, asked = float(asked[0].partition("=")[2]), asked[1:]
    config = config_of(asked)
    if scale:
        return " ".join(shorter(config, scale))
    rows = members(config)
    gpu = seconds(rows, GPU) + compiling(config)
    cpu = seconds(rows, CPU)
    steps = rows["steps"].sum() / 1e6
    return (
        f"{len(rows)} members, {steps:.3g} M member-steps: {duration(gpu)} on {GPU}, "
        f"{duration(cpu)} on {CPU}"
    )


if __name__ == "__main__":
    print(main(sys.argv[1:]))
