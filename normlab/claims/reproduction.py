"""Whether the report's numbers are reproduced, with the experiments as it ran them."""

import dataclasses

from normlab.claims.claim import Claim, Part, Side, level
from normlab.claims.measures import FINAL_TEST, FINAL_TRAIN
from normlab.claims.rules import Rule, predicted, within
from normlab.claims.scale import REPORT
from normlab.claims.settings import report_bn, report_gn
from normlab.figures.reference.report import last_epoch

# Allows for the difference between two single runs and for reading values off a plot.
_POINTS = 1.5
_POINTS_OF_ONE = 100.0
_CHOSEN = ("E1", "E3", "E4")
_FINAL = {"test_accuracy": FINAL_TEST, "train_accuracy": FINAL_TRAIN}
_SIDES: dict[str, tuple[Side, Side]] = {
    "E1": (report_bn("none"), report_bn("batch")),
    "E2": (report_bn("none", lr=1e-4), report_bn("batch", lr=1e-4)),
    "E3": (report_bn("none", 10), report_bn("batch", 10)),
    "E4": (report_bn("none", 100), report_bn("batch", 100)),
    "E5": (report_gn(None), report_gn(1)),
    "E6": (report_gn(None), report_gn(4)),
    "E7": (report_gn(None), report_gn(16)),
}


def _again(
    experiment: str,
    curve: str,
    side: Side,
    rule: Rule,
    metric: str = "test_accuracy",
) -> Part:
    """Compares last-epoch accuracy with the report's ``none`` or ``norm`` curve."""
    published = _POINTS_OF_ONE * last_epoch(experiment, metric, curve)
    place = f"experiment {experiment}"
    return level(_FINAL[metric], side, rule, place, published)


def _claim(number: int, experiment: str, sides: tuple[Side, Side]) -> Claim:
    none, norm = sides
    parts = (
        _again(experiment, "none", none, predicted()),
        _again(experiment, "norm", norm, predicted()),
    )
    remark = "The report has a single run of each. "
    if experiment in _CHOSEN:
        remark += "Where batch norm is applied was chosen to match this experiment "
        remark += "(B10), so this is no test of it."
    elif experiment in ("E5", "E6", "E7"):
        remark += "Its curves without a norm in E5, E6 and E7 appear to be one run."
    else:
        remark += "Where batch norm is applied was chosen on E1, E3 and E4 (B10)."
    return Claim(
        f"R{number}",
        f"The last-epoch test accuracies of {experiment} are reproduced: the report's "
        "run could be one more of ours.",
        f"report p. 8 and 12, experiment {experiment}, read off its plots",
        parts,
        scale=REPORT,
        remark=remark,
        chosen=experiment in _CHOSEN,
    )


def _behind_convolutions(batch_size: int) -> Side:
    report_side = report_bn("batch", batch_size)
    name = f"batch after the convolutions only, batch size {batch_size}"
    where = {**report_side.where, "norm_dense": False}
    return dataclasses.replace(report_side, name=name, where=where)


CLAIMS = (
    *(_claim(number, *entry) for number, entry in enumerate(_SIDES.items(), start=1)),
    Claim(
        "B10",
        "The report applied batch norm only after the convolutions, as it states.",
        "report p. 6; E1, E3 and E4, read off its plots",
        tuple(
            _again(
                experiment,
                "norm",
                _behind_convolutions(size),
                within(_POINTS),
                metric,
            )
            for metric in _FINAL
            for experiment, size in (("E1", 50), ("E3", 10), ("E4", 100))
        ),
        scale=REPORT,
        remark=f"If so, its accuracies are reproduced to within {_POINTS:g} points. R1 "
        "to R4 also have a norm after the hidden dense layer.",
    ),
)
