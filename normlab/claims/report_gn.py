"""What the report says of group normalization (p. 11-18)."""

from typing import Any

from normlab.claims import along_path as path
from normlab.claims import measures as m
from normlab.claims.claim import (
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
from normlab.claims.settings import (
    NONE,
    PROPER,
    group,
    proper_gn,
    side,
    sized,
)

# "Hardly any" and "almost the same": less than a point.
_POINT = 1.0
_NATS = 0.02
_GROUPS = (1, 4, 16)


def _at_width(norm: str, width: float) -> Side:
    """Group norm (G=4) or none in a network of some width."""
    norm_settings = group(4) if norm == "group" else NONE
    place = {"batch_size": 50, "lr": 1e-3, "width": width}
    return side(
        f"{norm} at width {width:g}", "postmortem_width", PROPER, norm_settings, place
    )


def _wider() -> Part:
    """How much less group norm costs in a network of twice the width."""
    first, second = ((_at_width("group", w), _at_width("none", w)) for w in (2.0, 1.0))
    return interaction(m.FINAL_TEST, first, second, above(0), AS_IT_SHOULD.words)


def _grouped(grouping: str, often: bool) -> Side:
    """Group norm whose groups were chosen in some way, every epoch or once."""
    settings: dict[str, Any] = {"norm": "group_correlated", "grouping": grouping}
    flags, every = ("grouping_small_cnn", 1000) if often else ("grouping_once", 0)
    name = f"{grouping.replace('_', '-')} groups"
    return side(name, flags, {"dataset": "cifar10", "regroup_every": every}, settings)


def _better(grouping: str, others: tuple[str, ...]) -> tuple[Part, ...]:
    """By test accuracies at the end and, where groups stay, by the losses of batches.

    Groups that change cost something each time, whatever they are: there the losses are
    compared with those of groups that change as often.
    """

    def than(other: str, often: bool, measure: Measure, rule: Rule) -> Part:
        when = "grouped again every epoch" if often else "grouped once, after an epoch"
        sides = _grouped(grouping, often), _grouped(other, often)
        return difference(measure, *sides, rule, when)

    return (
        *(than(other, False, m.LAST_BATCH_LOSS, below(0)) for other in others),
        *(than(other, False, m.FINAL_TEST, above(0)) for other in others),
        *(than(other, True, m.FINAL_TEST, above(0)) for other in others),
        than("anti_correlated", True, m.BATCH_LOSS, below(0)),
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
        level(path.LOPSIDED, run.looked_at("group"), below(0), run.words),
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


def _lowers(run: Protocol) -> tuple[Part, ...]:
    smallest = difference(
        m.FINAL_TRAIN,
        run.gn(16),
        run.gn(1),
        below(0),
        f"the smallest groups, {run.words}",
    )
    return (*_against_none(run, m.FINAL_TRAIN, below(0)), smallest)


def _problem_of_small_batches() -> Part:
    """A small batch is more steps, too: what no norm gains by them is taken off."""
    two, many = ((sized("batch", size), sized("none", size)) for size in (2, 32))
    return interaction(m.FINAL_TEST, two, many, below(0))


CLAIMS = (
    *in_both(
        "C4",
        "The training accuracy is less with group norm than with no normalization or "
        "with batch norm.",
        "report p. 11, observation 1",
        _trains_lower,
        remark="The report measured it over 10000 images with group norm and over "
        "20000 with batch norm, which stood behind the dense layer, too (B10).",
    ),
    *in_both(
        "C5",
        "There is hardly any change in training accuracy when the number of groups is "
        "varied from 1 to 16.",
        "report p. 11, observation 2",
        _by_groups,
        remark="Hardly any is less than a point.",
    ),
    *in_both(
        "C6",
        "The test accuracy is almost the same whether group norm is used or not.",
        "report p. 11, observation 3",
        _tests_alike,
        remark="Almost the same is within a point.",
    ),
    Claim(
        "C7",
        "The poor performance of group norm may be due to the small group sizes.",
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
                f"the largest groups that there are, {AS_IT_SHOULD.words}",
            ),
        ),
        remark="If so, group norm does better with larger groups, which are fewer, and "
        "with the largest about as well as no norm: within 0.02 nats on the way. In a "
        "wider network more than the groups is larger (F2).",
    ),
    *in_both(
        "C8",
        "Normalization makes the histogram of a channel regular, and its variance "
        "close to 1.",
        "report p. 15",
        _regular,
        remark="Regular is taken to be less skewed; close to 1 is within 0.1, behind "
        "the norm's own scale and bias, where the report looked.",
    ),
    *in_both(
        "C9",
        "The channels of a group have different distributions.",
        "report p. 15",
        _different,
        remark="Different is half a standard deviation between their means. Three "
        "channels are looked at, as in the report's plots; over all of a group the "
        "means range further.",
    ),
    Claim(
        "C9h",
        "Since the channels of a group have different distributions, group norm over "
        "these groups is not very helpful.",
        "report p. 15",
        _better("moments", ("sequential",)),
        remark="If so, groups of channels with similar moments are better.",
    ),
    *in_both(
        "C10",
        "The gradient norms are more constrained without normalization than with "
        "group norm.",
        "report p. 16",
        _less_constrained,
    ),
    *in_both(
        "C11",
        "With group norm the circumstances for training were worse.",
        "report p. 16",
        _worse,
        remark="Worse circumstances are taken to be a higher loss on the way.",
    ),
    *in_both(
        "C12",
        "Group norm lowers accuracy at this scale: it faces the same problem that "
        "batch norm faces at low batch sizes.",
        "report p. 18, conclusion",
        _lowers,
        more=(_problem_of_small_batches(),),
        remark="Accuracy is that of training, since the report finds that of the test "
        "almost the same (C6); of batch norm at small batches it is that of the test, "
        "which its running averages have a part in.",
    ),
    Claim(
        "F2",
        "Larger models and group sizes are needed to see what group norm does.",
        "report p. 18, future work",
        (_wider(),),
        remark="If so, group norm compares better with no norm in wider networks.",
    ),
    Claim(
        "F3",
        "Groups chosen by the correlation between channels normalize better than "
        "sequential ones.",
        "report p. 18, future work",
        _better("correlated", ("sequential", "random")),
        remark="Random groups are the control: they are not sequential either. Groups "
        "that change every epoch cost something each time, so their losses are "
        "compared with those of anti-correlated ones.",
    ),
)
