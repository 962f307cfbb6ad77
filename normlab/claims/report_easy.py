"""The report's claim on an easy dataset (section III): on MNIST, and on digits."""

from typing import Any

from normlab.claims import measures as m
from normlab.claims.claim import Claim, Part, level
from normlab.claims.rules import above, below
from normlab.claims.scale import EASY
from normlab.claims.settings import side

_HIGH, _QUICK = 95.0, 10.0
_NORMS: dict[str, dict[str, Any]] = {
    "none": {"norm": "none"},
    "batch": {"norm": "batch"},
    **{f"group (G={g})": {"norm": "group", "groups": g} for g in (1, 4, 16)},
}
_RATES = (3e-4, 1e-3, 3e-3)


_SENTENCE = (
    "On an easy dataset, training reaches high accuracy very quickly regardless of "
    "changes in the model."
)
_REMARK = (
    f"High accuracy means {_HIGH:g}% on the test set. Very quickly means within "
    f"{_QUICK:g} epochs, at any of the learning rates."
)


def _at_worst(dataset: str, name: str, size: int) -> tuple[Part, ...]:
    """The accuracy and speed of a norm at each seed's worst learning rate."""
    settings = {"dataset": dataset, "batch_size": size, "lr": _RATES, **_NORMS[name]}
    least, longest = (
        side(name, f"{dataset}_easy", settings, across=("lr", reduction))
        for reduction in ("min", "max")
    )
    place = f"batch size {size}, at its worst lr"
    quick = m.epochs_to("test_accuracy", _HIGH / 100)
    return (
        level(m.FINAL_TEST, least, above(_HIGH), place),
        level(quick, longest, below(_QUICK), place),
    )


def _claim(id: str, dataset: str, source: str, name: str) -> Claim:
    parts = (_at_worst(dataset, norm, size) for norm in _NORMS for size in (10, 50))
    return Claim(
        id,
        _SENTENCE,
        source,
        sum(parts, ()),
        scale=EASY,
        remark=_REMARK,
        name=name,
    )


CLAIMS = (
    _claim(
        "E11", "mnist", "report, section III, on MNIST", "Every model is quick on MNIST"
    ),
)

# The report does not claim this, so it is not in the report's family.
DIGITS = (
    _claim(
        "E11d",
        "digits",
        "report, section III, on MNIST; tested on scikit-learn's digits",
        "Every model is quick on digits",
    ),
)
