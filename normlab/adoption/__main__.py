"""Makes a run of parameters that were trained elsewhere, to measure and draw them.

    python -m normlab.adoption --params=trained.npz --steps=5000 --out=runs/trained \
      --dataset=cifar10 --model=vgg11 --norm=batch

The settings describe the network, its data and its training, as for normlab.sweep.
Then normlab.analysis, normlab.landscape and normlab.figures work on the run. Its label
says "adopted" everywhere, and claims leave it out.
"""

from absl import flags

from normlab.adoption.adopt import adopt, read
from normlab.adoption.settings import AdoptionOptions
from normlab.config import SweepConfig
from normlab.flags import defined, run
from normlab.flags import read as read_flags
from normlab.store import RunPaths

PROGRAM = "normlab.adoption"


def main(values: flags.FlagValues) -> None:
    options = read_flags(AdoptionOptions, values)
    if not values["num_seeds"].present:
        values["num_seeds"].value = 1
    if options.at and not values["epochs"].present and not values["steps"].present:
        values["steps"].value = max(options.at)
    config = read_flags(SweepConfig, values)
    paths = RunPaths.at(options.out)
    steps = options.at or (config.steps,)
    sources = dict(zip(steps, map(read, options.params), strict=True))
    for step, metrics in adopt(config, paths, sources, options.data_dir).items():
        words = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        print(f"step {step}: {words}")
    print(f"adopted: {paths.root}")


def flag_values() -> flags.FlagValues:
    return defined(SweepConfig, AdoptionOptions)


if __name__ == "__main__":
    run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
