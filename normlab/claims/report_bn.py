"""The report's claims on batch normalization (p. 7, "Few empirical observations")."""

import dataclasses

from normlab.claims import measures as m
from normlab.claims.claim import Claim, Part, Side, difference, interaction
from normlab.claims.protocols import Protocol, in_both
from normlab.claims.rules import above, below
from normlab.claims.scale import REPORT
from normlab.claims.settings import at_rate, sized

# The smallest differences in training accuracy and loss that count as an advantage.
_POINT, _NATS = 1.0, 0.02
_PLACES = ((50, 1e-3), (50, 1e-4), (100, 1e-3))


def _at(batch_size: int, lr: float) -> str:
    return f"batch size {batch_size}, lr {lr:g}"


def _faster(run: Protocol) -> tuple[Part, ...]:
    return tuple(
        difference(
            measure,
            run.bn("batch", *place),
            run.bn("none", *place),
            rule,
            f"{_at(*place)}, {run.words}",
        )
        for place in _PLACES
        for measure, rule in ((m.SPEED, above(0)), (m.BATCH_LOSS, below(0)))
    )


def _slower(run: Protocol) -> tuple[Part, ...]:
    def at(norm: str, lr: float) -> Side:
        name = f"{norm} at lr {lr:g}"
        return dataclasses.replace(run.bn(norm, 50, lr), name=name)

    return tuple(
        difference(m.SPEED, at(norm, 1e-4), at(norm, 1e-3), below(0), run.words)
        for norm in ("none", "batch")
    )


def _no_advantage(run: Protocol) -> tuple[Part, ...]:
    batch, none = run.bn("batch", 10), run.bn("none", 10)
    place = f"{_at(10, 1e-3)}, {run.words}"
    few, many = (run.gain(size, 1e-3) for size in (10, 100))
    return (
        difference(m.SPEED, batch, none, below(_POINT), place),
        difference(m.BATCH_LOSS, batch, none, above(-_NATS), place),
        interaction(m.BATCH_LOSS, few, many, above(0), run.words),
    )


def _tests_higher(run: Protocol) -> tuple[Part, ...]:
    return tuple(
        difference(
            m.FINAL_TEST,
            run.bn("batch", size),
            run.bn("none", size),
            above(0),
            f"{_at(size, 1e-3)}, {run.words}",
        )
        for size in (10, 50, 100)
    )


def _no_smaller_loss(size: int) -> Part:
    """Compares batch losses, which do not depend on running averages."""
    batch, none = sized("batch", size), sized("none", size)
    return difference(m.BATCH_LOSS, batch, none, above(-_NATS), "lr 0.001")


CLAIMS = (
    *in_both(
        "C1",
        "Training is faster with batch norm than without, in training accuracy and in "
        "training loss.",
        "report p. 7, observation 1",
        _faster,
        remark="As in the report, this excludes batch sizes below 20 (C3).",
        name="Batch norm trains faster",
    ),
    *in_both(
        "C1t",
        "At a learning rate of 1e-3, the final test accuracy is higher with batch norm "
        "than without.",
        "report p. 8, testing accuracy plots",
        _tests_higher,
        remark="In the report's plot for 1e-4, it is lower.",
        name="Batch norm tests better",
    ),
    *in_both(
        "C2a",
        "Decreasing the learning rate from 1e-3 to 1e-4 slows down convergence.",
        "report p. 7, observation 2",
        _slower,
        name="Rate 1e-4 is slower",
    ),
    Claim(
        "C2b",
        "A learning rate of about 1e-3 is good for most cases.",
        "report p. 7, observation 2",
        tuple(
            difference(m.FINAL_TEST, at_rate(n, 1e-3), at_rate(n, None), above(-_POINT))
            for n in ("none", "batch", "group")
        ),
        scale=REPORT,
        test="most",
        remark="Good means within 1 point of the learning rate that is best for each "
        "seed on held-out training images.",
        name="Rate 1e-3 suits most cases",
    ),
    Claim(
        "C2c",
        "With batch norm, the learning rate can be increased to get similar "
        "performance in fewer iterations.",
        "report p. 7, observation 2",
        (
            difference(
                m.FINAL_TEST,
                at_rate("batch", 3e-3),
                at_rate("none", 1e-3),
                above(-_POINT),
            ),
            difference(
                m.steps_to("train_accuracy", 0.7),
                at_rate("batch", 3e-3),
                at_rate("none", 1e-3),
                below(1),
            ),
            difference(
                m.steps_to("train_accuracy", 0.7),
                at_rate("batch", 3e-3),
                at_rate("batch", 1e-3),
                below(1),
            ),
        ),
        scale=REPORT,
        remark="The report shows no learning rate above 1e-3.",
        name="A higher rate saves steps",
    ),
    *in_both(
        "C3",
        "Batch norm with a batch size below 20 gives no advantage in convergence.",
        "report p. 7, observation 3",
        _no_advantage,
        remark="An advantage is at least 1 point of training accuracy or 0.02 nats. "
        "The report gives the batch size as the reason, so the advantage also has to "
        "be smaller at 10 than at 100.",
        name="No gain in small batches",
    ),
    Claim(
        "C3s",
        "Batch norm gives no advantage in convergence at batch sizes of 2 to 16.",
        "report p. 7, observation 3, extended to other batch sizes",
        tuple(_no_smaller_loss(size) for size in (2, 4, 8, 16)),
        scale=REPORT,
        name="No gain at batches of 2 to 16",
    ),
)
