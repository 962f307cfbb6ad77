"""What TensorBoard shows of several seeds: a band for each point of a sweep."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from normlab.tensorboard.series import METRICS, Series

# The lines of a band: the tag's ending, and what it is of the seeds at a step.
_LINES = {"mean": np.mean, "min": np.min, "max": np.max}
_PREFIX = f"{METRICS}/"


def bands(members: Sequence[Sequence[Series]]) -> list[Series]:
    """Mean, smallest and largest value over seeds, for every metric.

    Args:
      members: the series of each seed.

    Returns:
      series with the tags ``seeds/test_loss/mean``, ``.../min`` and ``.../max``, at the
      steps that all seeds have. A seed that diverged makes them NaN from there on.
    """
    by_tag = [{s.tag: s for s in of_seed} for of_seed in members]
    found = []
    for tag in by_tag[0]:
        if not tag.startswith(_PREFIX) or any(tag not in of for of in by_tag):
            continue
        series = [of[tag] for of in by_tag]
        steps = series[0].steps
        for other in series[1:]:
            steps = np.intersect1d(steps, other.steps)
        values_ST = np.stack(
            [np.asarray(s.values)[np.isin(s.steps, steps)] for s in series]
        )
        name = tag.removeprefix(_PREFIX)
        found += [
            Series(f"seeds/{name}/{line}", steps, function(values_ST, axis=0))
            for line, function in _LINES.items()
        ]
    return found


def charts(series: Sequence[Series]) -> dict[str, Mapping[str, tuple]]:
    """The layout of TensorBoard's custom scalars: a chart with a band a metric."""
    names = dict.fromkeys(s.tag.rsplit("/", 1)[0] for s in series)
    return {"mean and range over seeds": dict(_charts(names))}


def _charts(names: Mapping[str, None]) -> Iterator[tuple[str, tuple]]:
    for name in names:
        yield name.split("/", 1)[1], ("Margin", [f"{name}/{line}" for line in _LINES])
