"""Whether the report's numbers are reproduced, with the experiments as it ran them."""

import dataclasses

from normlab.claims.claim import Claim, Part, Side, level
from normlab.claims.measures import at_epochs, last_epoch
from normlab.claims.rules import Rule, predicted, within
from normlab.claims.scale import REPORT
from normlab.claims.settings import report_bn, report_gn
from normlab.figures.reference import report

# Allows for the difference between two single runs and for reading values off a plot.
_POINTS = 1.5
_POINTS_OF_ONE = 100.0
# The widest prediction interval of a loss that can reproduce a number.
_NATS = 0.15
# Where batch norm is applied was chosen on the accuracies of these experiments (B10).
# Batch losses are nearly the same statistic of the same networks, so what they say of
# these experiments is no test. Only E2 is one.
_CHOSEN = ("E1", "E3", "E4")
_TO_MATCH = "chosen to match"
# Published and own numbers are means over the last epoch.
_OF_LAST_EPOCH = {
    name: last_epoch(name) for name in ("test_accuracy", "train_accuracy")
}
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
    published = _POINTS_OF_ONE * report.last_epoch(experiment, metric, curve)
    place = f"experiment {experiment}"
    return level(_OF_LAST_EPOCH[metric], side, rule, place, published)


def _loss_again(experiment: str, curve: str, side: Side) -> Part:
    """Compares the batch loss of all legible epochs with the report's curve."""
    epochs, published = report.mean_of_epochs(experiment, "batch_loss", curve)
    measure = at_epochs("batch_loss", epochs)
    place = f"experiment {experiment}"
    return level(measure, side, predicted(_NATS), place, published)


def _claim(number: int, experiment: str, sides: tuple[Side, Side]) -> Claim:
    none, norm = sides
    chosen = experiment in _CHOSEN
    parts = [
        _again(experiment, "none", none, predicted()),
        _loss_again(experiment, "none", none),
        _loss_again(experiment, "norm", norm),
    ]
    if not chosen:
        parts.append(_again(experiment, "norm", norm, predicted()))
    remark = "The report has a single run of each. "
    if chosen:
        remark += "Where batch norm is applied was chosen to match this experiment's "
        remark += "accuracies with batch norm (B10). They are no part of this claim, "
        remark += "but its batch losses are of the same networks, so it is no test."
    elif experiment in ("E5", "E6", "E7"):
        remark += "Its curves without a norm in E5, E6 and E7 appear to be one run."
    else:
        remark += "Where batch norm is applied was chosen on E1, E3 and E4 (B10), so "
        remark += "this tests it."
    what = "batch losses, and the last-epoch test accuracy without a norm,"
    if not chosen:
        what = "last-epoch test accuracies and batch losses"
    return Claim(
        f"R{number}",
        f"The {what} of {experiment} are reproduced: the report's run could be one "
        "more of ours.",
        f"report p. 8, 9 and 12 to 14, experiment {experiment}, read off its plots",
        tuple(parts),
        scale=REPORT,
        chosen=_TO_MATCH if chosen else "",
        remark=remark,
        name=f"{experiment} is reproduced",
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
            for metric in _OF_LAST_EPOCH
            for experiment, size in (("E1", 50), ("E3", 10), ("E4", 100))
        ),
        scale=REPORT,
        remark=f"If so, its accuracies are reproduced to within {_POINTS:g} points. R1 "
        "to R4 also have a norm after the hidden dense layer.",
        name="Norm after convolutions only",
    ),
)
