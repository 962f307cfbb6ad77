"""Trains the report's network in eager PyTorch, one learning rate after another.

    python -m normlab.bench.torch_script --dataset=digits --lr=1e-3,1e-2 --out=folder

This is what a user would write without normlab: images standardised once, channels
last, Adam, an evaluation after every epoch, ``metrics.csv``, and a checkpoint per
learning rate. It does not import JAX. ``python -m normlab.bench.whole`` times it.
"""

from absl import flags

from normlab import data
from normlab.bench.torch_here import no_torch
from normlab.bench.torch_script.settings import ScriptConfig
from normlab.errors import UserError
from normlab.flags import defined, read, run
from normlab.words import path_of

PROGRAM = "normlab.bench.torch_script"


def main(values: flags.FlagValues) -> int:
    config = read(ScriptConfig, values)
    if reason := no_torch():
        raise UserError(reason)
    dataset = data.load(config.dataset, data.data_dir(config.data_dir or None))
    from normlab.bench.torch_script.train import train_all

    train_all(config, dataset, path_of(config.out))
    return 0


if __name__ == "__main__":
    run(main, defined(ScriptConfig), program=PROGRAM, doc=__doc__ or "")
