"""The effects of mistakes in the report's program on its results."""

import dataclasses
from typing import Any

from normlab.claims import measures as m
from normlab.claims.claim import (
    SEEN,
    Claim,
    Measure,
    Part,
    Side,
    difference,
    interaction,
)
from normlab.claims.protocols import Protocol, in_both
from normlab.claims.rules import Rule, above, below, within
from normlab.claims.scale import REPORT
from normlab.claims.settings import BATCH, NONE, PROPER, group, proper_bn, side

_POINT = 1.0
# These seeds left B1l undecided, and were seen before version 5 changed B10b.
_SEEN = SEEN | frozenset(range(100, 115))
_PLACE: dict[str, Any] = {"batch_size": 50, "lr": 1e-3}
_READ = "read from the report's program, {}"


def _started(groups: int, init: str, norm_init: str) -> Side:
    norm_settings = group(groups, norm_init=norm_init, init=init)
    name = f"group (G={groups}) with {norm_init} scale and bias"
    settings = {k: v for k, v in PROPER.items() if k != "batch_order"}
    return side(name, "postmortem_init", settings, norm_settings, _PLACE)


def _init(measure: Measure, rule: Rule) -> tuple[Part, ...]:
    return tuple(
        difference(
            measure,
            _started(groups, init, "report"),
            _started(groups, init, "standard"),
            rule,
            f"{init} weights",
        )
        for init in ("report", "standard")
        for groups in (1, 4, 16)
    )


def _evaluated(batch_size: int, statistics: str) -> Side:
    batch_side = proper_bn(
        "batch", batch_size, statistics=statistics, eval_batch_size=10000
    )
    return dataclasses.replace(batch_side, name=f"with {statistics} statistics")


def _gains_most(run: Protocol) -> tuple[Part, ...]:
    return tuple(
        interaction(
            m.FINAL_TEST,
            run.gain(10, 1e-3),
            run.gain(*other),
            above(0),
            run.words,
        )
        for other in ((50, 1e-3), (50, 1e-4), (100, 1e-3))
    )


def _scaled(scale: bool, epsilon: float) -> Side:
    norm_settings = BATCH | {"norm_scale": scale, "epsilon": epsilon}
    name = f"batch {'with' if scale else 'without'} scale, epsilon {epsilon:g}"
    return side(name, "postmortem_scale", PROPER, norm_settings, _PLACE)


def _behind(norm: str, dense: bool) -> Side:
    norm_settings = {"batch": BATCH, "group": group(4)}[norm] | {"norm_dense": dense}
    name = f"{norm} after {'all three layers' if dense else 'the convolutions'}"
    return side(name, "postmortem_dense", PROPER, norm_settings, _PLACE)


CLAIMS = (
    Claim(
        "B1",
        "Starting group norm's scale and bias from one normal draw lowered its "
        "training accuracy.",
        _READ.format("gn.py, lines 56 to 58"),
        _init(m.FINAL_TRAIN, below(0)),
        scale=REPORT,
        test="pooled",
        name="Random scales fit worse",
    ),
    Claim(
        "B1t",
        "Starting group norm's scale and bias from one normal draw lowered its test "
        "accuracy.",
        _READ.format("gn.py, lines 56 to 58"),
        _init(m.FINAL_TEST, below(0)),
        scale=REPORT,
        test="pooled",
        name="Random scales test worse",
    ),
    Claim(
        "B1l",
        "Starting group norm's scale and bias from one normal draw slowed training.",
        _READ.format("gn.py, lines 56 to 58"),
        _init(m.BATCH_LOSS, above(0)),
        scale=REPORT,
        seen=_SEEN,
        test="pooled",
        name="Random scales slow training",
    ),
    *(
        Claim(
            name,
            "Evaluating batch norm with the statistics of the test batch raised its "
            f"test accuracy, compared with {statistics} statistics.",
            _READ.format("bn.py, lines 144 and 205"),
            tuple(
                difference(
                    m.FINAL_TEST,
                    _evaluated(size, "batch"),
                    _evaluated(size, statistics),
                    above(0),
                    f"batch norm, batch size {size}",
                )
                for size in (10, 50, 100)
            ),
            scale=REPORT,
            test="pooled",
            name=f"Batch beats {statistics} statistics",
        )
        for name, statistics in (("B2", "running"), ("B2p", "precise"))
    ),
    *in_both(
        "B3",
        "Batch norm improves test accuracy most at batch size 10, for which the report "
        "sees no advantage.",
        "report p. 8, testing accuracy plots",
        _gains_most,
        name="Most gain at batch size 10",
    ),
    Claim(
        "B6",
        "Leaving out batch norm's scale and using an epsilon of 1e-3 made no "
        "difference to its accuracy.",
        _READ.format("bn.py, line 90"),
        (
            difference(
                m.FINAL_TEST, _scaled(False, 1e-5), _scaled(True, 1e-5), within(_POINT)
            ),
            difference(
                m.FINAL_TEST, _scaled(True, 1e-3), _scaled(True, 1e-5), within(_POINT)
            ),
            difference(
                m.FINAL_TEST, _scaled(False, 1e-3), _scaled(True, 1e-5), within(_POINT)
            ),
        ),
        scale=REPORT,
        remark="No difference means within 1 point.",
        name="Epsilon and scale do not matter",
    ),
    Claim(
        "B10a",
        "Adding a norm after the hidden dense layer makes training faster, both with "
        "batch norm and with group norm.",
        "follows from B10, if B10 explains the report's curves",
        tuple(
            difference(
                m.BATCH_LOSS, _behind(norm, True), _behind(norm, False), below(0)
            )
            for norm in ("batch", "group")
        ),
        scale=REPORT,
        name="A third norm trains faster",
    ),
    Claim(
        "B10c",
        "Run properly and with a norm also after the hidden dense layer: training is "
        "faster with batch norm than without, as in the report.",
        "follows from B10; compare C1p, with norms after the convolutions only",
        tuple(
            difference(
                measure,
                _behind("batch", True),
                side("none", "postmortem_dense", PROPER, NONE, _PLACE),
                rule,
            )
            for measure, rule in ((m.SPEED, above(0)), (m.BATCH_LOSS, below(0)))
        ),
        scale=REPORT,
        name="Three batch norms train faster",
    ),
    Claim(
        "B10b",
        "Group norm also trains slower than batch norm, and ends with lower training "
        "accuracy, if both are applied after all three layers.",
        "report p. 11, observation 1, and p. 12, with group norm after two layers",
        (
            difference(
                m.BATCH_LOSS, _behind("group", True), _behind("batch", True), above(0)
            ),
            difference(
                m.FINAL_TRAIN, _behind("group", True), _behind("batch", True), below(0)
            ),
        ),
        scale=REPORT,
        seen=_SEEN,
        name="Group norm behind batch norm",
    ),
)
