"""Times every way to run members, for networks, norms and precisions.

    python -m normlab.bench.ways --model=small_cnn,resnet20 --members=8

A way is an execution and a form of the convolution. For each network this prints how
long a step takes under every way, which way a sweep takes without timing (the rule) and
with it (auto), and how much slower auto's way is than the fastest. The images are
random, so no dataset is needed.
"""

import dataclasses
import itertools
from dataclasses import dataclass

from absl import flags

from normlab.bench.arithmetic import step_bytes
from normlab.bench.images import random_images
from normlab.bench.machine import measure_machine
from normlab.bench.settings import check_counts, check_out
from normlab.bench.ways.timed import Timed, make_cell, time_ways
from normlab.checks import check_settings
from normlab.flags import defined, read, run
from normlab.members.placement import use_cores
from normlab.run_options import RunOptions
from normlab.settings import flag
from normlab.store.layout import write_json
from normlab.store.provenance import session
from normlab.words import path_of

PROGRAM = "normlab.bench.ways"


@dataclass(frozen=True)
class WaysConfig:
    """The settings of the benchmark; each field is a flag."""

    model: tuple[str, ...] = flag(("small_cnn",), "Networks to time.", choices="model")
    norm: tuple[str, ...] = flag(("batch",), "Norms to time.", choices="norm")
    precision: tuple[str, ...] = flag(("float32",), "Precisions of products.")
    batch_size: int = flag(50, "Images a batch.")
    members: tuple[int, ...] = flag((8,), "Member counts, with one seed.")
    optimizer: str = flag("adam", "The optimizer.", choices="optimizer")
    execution: str = flag("auto", "Time only this execution; auto: all.")
    conv: str = flag("auto", "Time only this form of the convolution; auto: all.")
    devices: str = flag("auto", "Devices that share the members.")
    member_chunk: str = flag(
        "auto",
        "Members at once: a number, or auto (also half of what fits, and so on).",
    )
    repeats: int = flag(3, "Timed runs of every way, alternating.")
    seconds: float = flag(1.0, "About how long a timed run takes.", above=0)
    call_steps: int = flag(100, "Most steps of one call.")
    out: str = flag("", "Write the results to this .json file.")

    def __post_init__(self) -> None:
        check_counts(self, "batch_size", "members", "repeats", "call_steps")
        check_settings(self)
        _ = self.options  # its own checks
        check_out(self.out)

    @property
    def options(self) -> RunOptions:
        """How the members are run. Nothing remembered is used."""
        return RunOptions(
            execution=self.execution,
            conv=self.conv,
            devices=self.devices,
            member_chunk=self.member_chunk,
            call_steps=self.call_steps,
            compilation_cache="none",
        )


def text_of(timed: Timed, members: int, name: str, gbs: float, least: int) -> str:
    """What was measured, as some readable lines.

    Args:
      gbs: the machine's bandwidth.
      least: the least bytes that a step of all members moves.
    """
    lines = [name]
    for way in sorted(timed.ms, key=timed.median):
        runs, middle = timed.ms[way], timed.median(way)
        marks = [m for m, w in (("rule", timed.rule), ("auto", timed.auto)) if w == way]
        lines.append(
            f"  {way:<20} {middle:9.3f} [{min(runs):.3f}, {max(runs):.3f}] ms a step, "
            f"{1e3 * members / middle:8.0f} member-steps/s, least bytes "
            f"{least / middle / 1e4 / gbs:.1f}% of the bandwidth, compiled in "
            f"{timed.compile_seconds[way]:.1f} s{'  <- ' * bool(marks)}"
            f"{', '.join(marks)}"
        )
    lines.append(f"  auto's way takes {timed.loss:.3f} of the fastest one's time")
    return "\n".join(lines)


def _points(config: WaysConfig) -> list[tuple[str, str, int, int, str]]:
    """(model, norm, batch size, members, precision) of every network, in order."""
    return [
        (model, norm, config.batch_size, members, precision)
        for model, norm, precision, members in itertools.product(
            config.model, config.norm, config.precision, config.members
        )
    ]


def main(values: flags.FlagValues) -> int:
    config = read(WaysConfig, values)
    use_cores(config.devices)
    # All of them first: a wrong name is known before anything is timed.
    cells = {point: make_cell(*point, config.optimizer) for point in _points(config)}
    dataset, machine = random_images(), measure_machine("float32")
    print(f"{machine.name}: {machine.bandwidth_gbs:.0f} GB/s")
    print("median [min, max] of a step of all members", flush=True)
    results = []
    for (model, norm, batch_size, members, precision), cell in cells.items():
        timed = time_ways(cell, dataset, config.options, config.repeats, config.seconds)
        name = (
            f"{model}, {norm}, {precision}, batch size {batch_size}, {members} members"
        )
        least = members * step_bytes(
            dataset.image_shape, batch_size, 4 * timed.parameters, config.optimizer
        )
        text = text_of(timed, members, name, machine.bandwidth_gbs, least)
        print(text, flush=True)
        results.append({"name": name, **dataclasses.asdict(timed)})
        if config.out:  # a run that is stopped keeps what it has
            stamp = {"config": dataclasses.asdict(config), **session()}
            stamp["machine"] = dataclasses.asdict(machine)
            write_json(path_of(config.out), {**stamp, "results": results})
    return 0


if __name__ == "__main__":
    run(main, defined(WaysConfig), program=PROGRAM, doc=__doc__ or "")
