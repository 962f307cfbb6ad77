"""Measures quantities along the stored path of a run.

    python -m normlab.analysis --run=runs/quickstart --quantities=gradient_norm

The run must have a path (--path_every). Quantities that compare successive points also
need --path_next. The results equal those of measuring during training, up to rounding.
Flags named --probe_... have the run's own values unless you give them.
"""

import dataclasses

from absl import flags

from normlab.analysis.measure import measure_run
from normlab.analysis.settings import AnalysisOptions
from normlab.checks import check_settings
from normlab.flags import defined, read, run
from normlab.members.placement import use_cores
from normlab.members.progress import CountProgress
from normlab.settings import ProbeSettings
from normlab.store import RunPaths

PROGRAM = "normlab.analysis"


def main(values: flags.FlagValues) -> None:
    options, settings = read(AnalysisOptions, values), read(ProbeSettings, values)
    check_settings(settings)
    names = [spec.name for spec in dataclasses.fields(ProbeSettings)]
    changes = {name: getattr(settings, name) for name in names if values[name].present}
    use_cores(options.devices)
    paths = RunPaths.at(options.run)
    measure_run(paths, options, changes, lambda name: CountProgress(name, "step"))
    for name in options.quantities:
        print(f"measured: {name}")


def flag_values() -> flags.FlagValues:
    return defined(AnalysisOptions, ProbeSettings)


if __name__ == "__main__":
    run(main, flag_values(), program=PROGRAM, doc=__doc__ or "")
