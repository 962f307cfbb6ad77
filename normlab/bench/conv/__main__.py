"""Times the forms of the convolution inside a loop, as in training.

    python -m normlab.bench.conv --batch_size=50 --members=1,4

For each shape, it times the output and both gradients. The forms alternate, and one
loop uses all cores. `normlab.train.way.choose_conv` chooses the form for a sweep. In
a sweep, "direct" still uses patches for thin kernels; this benchmark does not.
"""

import dataclasses
import statistics
from dataclasses import dataclass

from absl import flags

from normlab.bench.conv.shapes import FORMS, SHAPES, make_loop, seconds
from normlab.bench.machine import measure_machine
from normlab.bench.settings import check_counts, check_out
from normlab.errors import UserError
from normlab.flags import defined, read, run
from normlab.members.placement import find_devices
from normlab.settings import flag
from normlab.store.layout import write_json
from normlab.store.provenance import session
from normlab.words import path_of

PROGRAM = "normlab.bench.conv"
# Forms this slow in the first run are timed once, with one turn of the loop.
_SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class ConvConfig:
    """The settings of the benchmark; each field is a flag."""

    form: tuple[str, ...] = flag(
        tuple(form for form in FORMS if form != "pallas"),
        f"Forms: {', '.join(FORMS)}. (A CPU interprets pallas, which is slow.)",
    )
    shape: tuple[str, ...] = flag(("all",), "Shapes by name, or all.")
    batch_size: int = flag(50, "Number of images per member.")
    members: tuple[int, ...] = flag((1, 4), "Numbers of kernels, vmapped.")
    repeats: int = flag(5, "Timed runs of each form, alternating.")
    turns: int = flag(10, "Turns of the loop in a timed run.")
    out: str = flag("", "Write the results to this .json file.")

    def __post_init__(self) -> None:
        check_counts(self, "batch_size", "members", "repeats", "turns")
        for name, known in (("form", (*FORMS,)), ("shape", ("all", *SHAPES))):
            for value in getattr(self, name):
                if value not in known:
                    listed = ", ".join(known)
                    raise UserError(f"--{name}={value}: unknown; known: {listed}")
        check_out(self.out)


def measure(config: ConvConfig, name: str, members: int) -> dict[str, list[float]]:
    """Form -> milliseconds per member of its timed runs, on one shape."""
    shape = SHAPES[name]
    loops = {
        form: make_loop(form, shape, config.batch_size, members) for form in config.form
    }
    times: dict[str, list[float]] = {form: [] for form in loops}
    for form, loop in [*loops.items()]:
        loop(1)  # compiles
        first = seconds(loop, 1)
        if first > _SLOW_SECONDS:
            times[form].append(1e3 * first / members)
            del loops[form]
    for _ in range(config.repeats):
        for form, loop in loops.items():
            run_seconds = seconds(loop, config.turns)
            times[form].append(1e3 * run_seconds / members)
    return times


def main(values: flags.FlagValues) -> int:
    config = read(ConvConfig, values)
    find_devices()
    machine = measure_machine("float32")
    names = tuple(SHAPES) if "all" in config.shape else config.shape
    print(f"{machine.name}: {machine.matmul_gflops:.0f} GFLOP/s in a large product")
    print("milliseconds a member: output and both gradients, median [min, max]")
    results = []
    for members in config.members:
        for name in names:
            gflop = SHAPES[name].gflop(config.batch_size)
            times = measure(config, name, members)
            print(f"{name}, {members} at once, {gflop:.3g} GFLOP a member:")
            for form, ms in times.items():
                middle = statistics.median(ms)
                share = gflop / middle * 1e3 / machine.matmul_gflops
                print(
                    f"  {form:<8} {middle:9.2f} [{min(ms):.2f}, {max(ms):.2f}]"
                    f"  {share:6.1%} of the rate",
                    flush=True,
                )
            point = {"shape": name, "members": members, "gflop": gflop, "ms": times}
            results.append(point)
            if config.out:  # a run that is stopped keeps what it has
                stamp = {"config": dataclasses.asdict(config), **session()}
                stamp["machine"] = dataclasses.asdict(machine)
                write_json(path_of(config.out), {**stamp, "results": results})
    return 0


if __name__ == "__main__":
    run(main, defined(ConvConfig), program=PROGRAM, doc=__doc__ or "")
