"""The report's claims on group normalization (p. 11-18)."""

from typing import Any

from normlab.claims import along_path as path
from normlab.claims import measures as m
from normlab.claims.claim import (
    SEEN,
    Claim,
    Measure,
    Part,
    Side,
    difference,
    interaction,
    level,
)
from normlab.claims.protocols import AS_IT_SHOULD, Protocol, in_both
from normlab.claims.rules import Rule, above, below, within
from normlab.claims.scale import REPORT
from normlab.claims.settings import (
    NONE,
    PROPER,
    group,
    proper_gn,
    side,
)

# "Hardly any" and "almost the same": less than a point.
_POINT = 1.0
_NATS = 0.02
_GROUPS = (1, 4, 16)
# Version 5 of the rules has other controls for groups. These seeds had been seen.
_SEEN = SEEN | frozenset(range(100, 118))


def _at_width(norm: str, width: float) -> Side:
    """Group norm (G=4) or no norm in a network of the given width."""
    norm_settings = group(4) if norm == "group" else NONE
    place = {"batch_size": 50, "lr": 1e-3, "width": width}
    return side(
        f"{norm} at width {width:g}", "postmortem_width", PROPER, norm_settings, place
    )


def _wider() -> Part:
    """How much less accuracy group norm costs in a network of twice the width."""
    first, second = ((_at_width("group", w), _at_width("none", w)) for w in (2.0, 1.0))
    return interaction(m.FINAL_TEST, first, second, above(0), AS_IT_SHOULD.words)


def _grouped(grouping: str, often: bool) -> Side:
    """Group norm with groups chosen by ``grouping``, every epoch or once."""
    settings: dict[str, Any] = {"norm": "group_correlated", "grouping": grouping}
    flags, every = ("grouping_small_cnn", 1000) if often else ("grouping_once", 0)
    name = f"{grouping.replace('_', '-')} groups"
    return side(name, flags, {"dataset": "cifar10", "regroup_every": every}, settings)


def _better(grouping: str, others: tuple[str, ...]) -> tuple[Part, ...]:
    """Compares losses and test accuracies, of groups that are chosen once or often.

    A change of groups disturbs training. So the control of groups that are chosen once
    is random ones, which are chosen at the same step: before training, nothing
    distinguishes these from sequential groups. Where groups are chosen every epoch, it
    is anti-correlated groups, because random ones change only once.

    Args:
      others: the groups to compare those with that are chosen once.
    """

    def than(other: str, often: bool, measure: Measure, rule: Rule) -> Part:
        when = "regrouped every epoch" if often else "grouped once, after an epoch"
        sides = _grouped(grouping, often), _grouped(other, often)
        return difference(measure, *sides, rule, when)

    return (
        *(than(other, False, m.LAST_BATCH_LOSS, below(0)) for other in others),
        *(than(other, False, m.FINAL_TEST, above(0)) for other in others),
        than("anti_correlated", True, m.BATCH_LOSS, below(0)),
        than("anti_correlated", True, m.FINAL_TEST, above(0)),
    )


def _against_none(
    run: Protocol, measure: Measure, rule: Rule, groups: tuple[int, ...] = _GROUPS
) -> tuple[Part, ...]:
    return tuple(
        difference(measure, run.gn(number), run.gn(None), rule, run.words)
        for number in groups
    )


def _trains_lower(run: Protocol) -> tuple[Part, ...]:
    against_batch = tuple(
        difference(m.FINAL_TRAIN, run.gn(groups), run.bn("batch"), below(0), run.words)
        for groups in _GROUPS
    )
    return _against_none(run, m.FINAL_TRAIN, below(0)) + against_batch


def _by_groups(run: Protocol) -> tuple[Part, ...]:
    return tuple(
        difference(m.FINAL_TRAIN, run.gn(groups), run.gn(1), within(_POINT), run.words)
        for groups in (4, 16)
    )


def _tests_alike(run: Protocol) -> tuple[Part, ...]:
    return _against_none(run, m.FINAL_TEST, within(_POINT))


def _regular(run: Protocol) -> tuple[Part, ...]:
    return (
        level(path.REGULAR, run.looked_at("group"), below(1), run.words),
        level(path.VARIANCE_ERROR, run.looked_at("group"), within(0.1), run.words),
    )


def _different(run: Protocol) -> tuple[Part, ...]:
    return (level(path.MEANS_APART, run.looked_at("group"), above(0.5), run.words),)


def _less_constrained(run: Protocol) -> tuple[Part, ...]:
    sides = run.looked_at("group"), run.looked_at("none")
    return tuple(
        difference(measure, *sides, above(1), run.words)
        for measure in (path.GRADIENT_RANGE, path.GRADIENT_SIZE)
    )


def _worse(run: Protocol) -> tuple[Part, ...]:
    return _against_none(run, m.BATCH_LOSS, above(0))


CLAIMS = (
    *in_both(
        "C4",
        "Training accuracy is lower with group norm than without normalization or with "
        "batch norm.",
        "report p. 11, observation 1",
        _trains_lower,
        remark="The report measured it on 10000 images with group norm and on 20000 "
        "with batch norm. Its batch norm was also applied after the dense layer (B10). "
        "The conclusion on p. 18 is the same claim; C7 is about small groups.",
        name="Group norm fits worse",
    ),
    *in_both(
        "C5",
        "Training accuracy hardly changes when the number of groups is varied from 1 "
        "to 16.",
        "report p. 11, observation 2",
        _by_groups,
        remark="Hardly means by less than 1 point.",
        name="Group count matters little",
    ),
    *in_both(
        "C6",
        "Test accuracy is almost the same with and without group norm.",
        "report p. 11, observation 3",
        _tests_alike,
        remark="Almost the same means within 1 point.",
        name="Group norm tests equally",
    ),
    Claim(
        "C7",
        "Group norm may perform poorly because its groups are small.",
        "report p. 11, observation 4",
        (
            difference(
                m.FINAL_TRAIN, proper_gn(1), proper_gn(16), above(0), AS_IT_SHOULD.words
            ),
            difference(
                m.BATCH_LOSS,
                proper_gn(1),
                proper_gn(None),
                within(_NATS),
                f"the largest possible groups, {AS_IT_SHOULD.words}",
            ),
        ),
        scale=REPORT,
        remark="If so, group norm does better with fewer, larger groups. With the "
        "largest groups, its training loss is within 0.02 nats of that without a norm. "
        "A wider network is a weaker test, because it changes more than the group size "
        "(F2).",
        name="Small groups are to blame",
    ),
    *in_both(
        "C8",
        "Normalization makes a channel's histogram regular, and its variance close to "
        "1.",
        "report p. 15",
        _regular,
        remark="An affine map of a channel cannot change the shape of its histogram. "
        "So regular is taken to mean that its width changes less during training. "
        "Close to 1 means within 0.1, after the norm's scale and bias, which is where "
        "the report looked.",
        name="Variance is close to 1",
    ),
    *in_both(
        "C9",
        "The channels of a group have different distributions.",
        "report p. 15",
        _different,
        remark="Different means that the channel means span at least half a standard "
        "deviation. As in the report's plots, three channels are compared. Over a "
        "whole group, the range is larger.",
        name="A group's channels differ",
    ),
    Claim(
        "C9h",
        "Group norm does not help much because the channels of a group have different "
        "distributions.",
        "report p. 15",
        _better("moments", ("random",)),
        scale=REPORT,
        seen=_SEEN,
        remark="If so, grouping channels with similar moments works better than "
        "grouping them at random. A change of groups disturbs training, so the "
        "controls change theirs equally often.",
        name="Mixed groups are to blame",
    ),
    *in_both(
        "C10",
        "Gradient norms are more constrained without normalization than with group "
        "norm.",
        "report p. 16",
        _less_constrained,
        name="Gradients less constrained",
    ),
    *in_both(
        "C11",
        "Group norm made the conditions for training worse.",
        "report p. 16",
        _worse,
        remark="Worse conditions are taken to mean a higher loss during training.",
        name="Group norm trains worse",
    ),
    Claim(
        "F2",
        "Larger models and larger groups are needed to see the effect of group norm.",
        "report p. 18, future work",
        (_wider(),),
        scale=REPORT,
        remark="If so, group norm does better in wider networks, relative to no norm.",
        name="Group norm needs wide networks",
    ),
    Claim(
        "F3",
        "Groups chosen by the correlation between channels normalize better than "
        "sequential ones.",
        "report p. 18, future work",
        _better("correlated", ("sequential", "random")),
        scale=REPORT,
        seen=_SEEN,
        remark="Sequential groups never change, and a change disturbs training. So the "
        "comparison is also with random groups, which are chosen at the same step. "
        "Where groups are chosen every epoch, it is with anti-correlated ones.",
        name="Correlated groups are better",
    ),
)
