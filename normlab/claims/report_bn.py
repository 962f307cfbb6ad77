"""What the report says of batch normalization (p. 7, "Few empirical observations")."""

from collections.abc import Callable
from typing import Any

from normlab.claims import measures as m
from normlab.claims.claim import Claim, Part, Side, difference
from normlab.claims.rules import above, at_least, below
from normlab.claims.settings import (
    AS_IT_SHOULD,
    AS_RUN,
    BATCH,
    BATCH_SIZES,
    NONE,
    PROPER,
    group,
    proper_bn,
    report_bn,
    side,
)

# Less is no advantage: a point of training accuracy, a fiftieth of a nat.
_POINT, _NATS = 1.0, 0.02
_PLACES = ((50, 1e-3), (50, 1e-4), (10, 1e-3), (100, 1e-3))
_PROTOCOLS = ((AS_RUN, report_bn), (AS_IT_SHOULD, proper_bn))
_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


def _at(batch_size: int, lr: float, protocol: str) -> str:
    return f"batch size {batch_size}, lr {lr:g}, {protocol}"


def _faster() -> tuple[Part, ...]:
    found = []
    for words, of in _PROTOCOLS:
        for size, lr in _PLACES:
            sides, place = (of("batch", size, lr), of("none", size, lr)), (size, lr)
            for measure, rule in ((m.SPEED, above(0)), (m.BATCH_LOSS, below(0))):
                found.append(difference(measure, *sides, rule, _at(*place, words)))
    return tuple(found)


def _slower() -> tuple[Part, ...]:
    return tuple(
        difference(m.SPEED, _named(norm, of, 1e-4), _named(norm, of, 1e-3), below(0), w)
        for w, of in _PROTOCOLS
        for norm in ("none", "batch")
    )


def _named(norm: str, of: Callable[..., Side], lr: float) -> Side:
    found = of(norm, 50, lr)
    return Side(f"{norm} at lr {lr:g}", found.flagfile, found.where, found.evaluated)


def at_rate(norm: str, lr: float | None) -> Side:
    """A norm of `postmortem_lr.flags`; without a rate the best of all of them."""
    own = {"none": NONE, "batch": BATCH, "group": group(4)}[norm]
    sizes: dict[str, Any] = {"batch_size": 50}
    if lr is None:
        sizes["lr"] = _RATES
        name = f"{norm} at its best lr"
        return side(name, "postmortem_lr", PROPER, own, sizes, across=("lr", "max"))
    return side(f"{norm} at lr {lr:g}", "postmortem_lr", PROPER, own, sizes, lr=lr)


def _no_advantage() -> tuple[Part, ...]:
    found = []
    for words, of in _PROTOCOLS:
        sides, place = (of("batch", 10), of("none", 10)), _at(10, 1e-3, words)
        found.append(difference(m.SPEED, *sides, below(_POINT), place))
        found.append(difference(m.BATCH_LOSS, *sides, above(-_NATS), place))
    for size in (2, 4, 8, 16):
        one, other = (
            side(
                norm,
                "postmortem_batch_size",
                BATCH_SIZES,
                own,
                batch_size=size,
                lr=1e-3,
            )
            for norm, own in (("batch", BATCH), ("none", NONE))
        )
        place = _at(size, 1e-3, AS_IT_SHOULD)
        found.append(difference(m.SPEED, one, other, below(_POINT), place))
    return tuple(found)


CLAIMS = (
    Claim(
        "C1",
        "Training is faster with batch norm than without, by training accuracy and by "
        "training loss.",
        "report p. 7, observation 1",
        _faster(),
        remark="The report itself excepts batch sizes below 20 (C3).",
    ),
    Claim(
        "C2a",
        "Decreasing the learning rate from 1e-3 to 1e-4 slows down the convergence.",
        "report p. 7, observation 2",
        _slower(),
    ),
    Claim(
        "C2b",
        "A learning rate of about 1e-3 is good for most cases.",
        "report p. 7, observation 2",
        tuple(
            difference(
                m.FINAL_TEST, at_rate(n, 1e-3), at_rate(n, None), at_least(-_POINT)
            )
            for n in ("none", "batch", "group")
        ),
        most=True,
        remark="Good is within a point of the best rate of each seed.",
    ),
    Claim(
        "C2c",
        "With batch norm the learning rate could be increased, for a similar "
        "performance with fewer iterations.",
        "report p. 7, observation 2",
        (
            difference(
                m.FINAL_TEST,
                at_rate("batch", 3e-3),
                at_rate("none", 1e-3),
                at_least(-_POINT),
            ),
            difference(
                m.steps_to("train_accuracy", 0.7),
                at_rate("batch", 3e-3),
                at_rate("none", 1e-3),
                below(1),
            ),
        ),
        remark="The report shows no learning rate above 1e-3.",
    ),
    Claim(
        "C3",
        "Batch norm with a batch size below 20 gives no advantage in convergence.",
        "report p. 7, observation 3",
        _no_advantage(),
        remark="An advantage is a point of training accuracy or 0.02 nats.",
    ),
)
